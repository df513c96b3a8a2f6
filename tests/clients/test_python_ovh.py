import json
import sys
from pathlib import Path

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPTS = Path(__file__).parent / "scripts"


async def test_python_ovh_manages_a_record(run_client: RunClient, stand_in: StandIn) -> None:
    result = await run_client(sys.executable, SCRIPTS / "python_ovh.py", flags=["--made-up-keys"])

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == {
        "me": ME["nichandle"],
        "changed": "192.0.2.78",
        "listed": True,
        "gone": "ResourceNotFoundError",
    }
    assert set(stand_in.verdicts) == {SIGNED}
    methods = [one.method for one in stand_in.signed]
    assert methods == ["GET", "POST", "PUT", "GET", "GET", "DELETE", "GET"]


async def test_python_ovh_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn
) -> None:
    result = await run_client(
        sys.executable,
        SCRIPTS / "python_ovh_refused.py",
        flags=("--made-up-keys", "--rule", "GET /me"),
    )

    assert (result.code, result.keys) == (0, []), result.err
    assert "DELETE /domain/zone/example.org/record/1" in result.out
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]


async def test_python_ovh_gets_its_access_token_from_the_proxy(
    run_client: RunClient, stand_in: StandIn
) -> None:
    result = await run_client(sys.executable, SCRIPTS / "python_ovh_oauth2.py")

    assert (result.code, result.keys, result.out.strip()) == (0, [], ME["nichandle"]), result.err
    assert stand_in.verdicts == [SIGNED]
    assert set(stand_in.connects) == {"eu.api.ovh.com:443"}
