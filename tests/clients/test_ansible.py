import sys
from pathlib import Path

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

MODULES = Path(__file__).parent / "scripts"


async def test_an_ansible_module_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn
) -> None:
    options = ("localhost", "--connection", "local", "--module-path", MODULES)

    result = await run_client(
        *(
            tool("ansible"),
            *options,
            "--extra-vars",
            f"ansible_python_interpreter={sys.executable}",
        ),
        *("--module-name", "ovh_nichandle"),
        flags=("--made-up-keys", "--rule", "GET /me"),
    )

    assert (result.code, result.keys) == (0, []), result.out + result.err
    assert f'"me": "{ME["nichandle"]}"' in result.out
    assert "grants DELETE /domain/zone/example.org/record/1" in result.out
    assert [(one.target, one.verdict) for one in stand_in.signed] == [(b"/1.0/me", SIGNED)]
