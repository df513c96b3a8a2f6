import sys
from pathlib import Path

import pytest
from support.clients import Through
from support.stand_in import SIGNED, StandIn
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

MODULES = Path(__file__).parent / "scripts"


async def test_a_module_of_ansible_s_calls_and_is_held_to_the_rules(
    through: Through, stand_in: StandIn
) -> None:
    here = ("localhost", "--connection", "local", "--module-path", MODULES)

    seen = await through(
        *(tool("ansible"), *here, "--extra-vars", f"ansible_python_interpreter={sys.executable}"),
        *("--module-name", "ovh_nichandle"),
        flags=("--made-up-keys", "--rule", "GET /me"),
    )

    assert (seen.code, seen.keys) == (0, []), seen.out + seen.err
    assert f'"me": "{ME["nichandle"]}"' in seen.out
    assert "grants DELETE /domain/zone/example.org/record/1" in seen.out
    assert [(one.target, one.verdict) for one in stand_in.signed] == [(b"/1.0/me", SIGNED)]
