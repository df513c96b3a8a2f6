import json
import sys
from pathlib import Path

import pytest
from support.clients import Through
from support.stand_in import SIGNED, StandIn

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPTS = Path(__file__).parent / "scripts"


async def test_python_ovh_keeps_a_record(through: Through, stand_in: StandIn) -> None:
    seen = await through(sys.executable, SCRIPTS / "python_ovh.py", flags=["--made-up-keys"])

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert json.loads(seen.out) == {
        "me": ME["nichandle"],
        "changed": "192.0.2.78",
        "listed": True,
        "gone": "ResourceNotFoundError",
    }
    assert set(stand_in.verdicts) == {SIGNED}
    methods = [one.method for one in stand_in.signed]
    assert methods == ["GET", "POST", "PUT", "GET", "GET", "DELETE", "GET"]


async def test_python_ovh_is_held_to_the_rules(through: Through, stand_in: StandIn) -> None:
    seen = await through(
        sys.executable,
        SCRIPTS / "python_ovh_refused.py",
        flags=("--made-up-keys", "--rule", "GET /me"),
    )

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert "DELETE /domain/zone/example.org/record/1" in seen.out
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]


async def test_python_ovh_is_given_a_token_that_stays_here(
    through: Through, stand_in: StandIn
) -> None:
    seen = await through(sys.executable, SCRIPTS / "python_ovh_oauth2.py")

    assert (seen.code, seen.keys, seen.out.strip()) == (0, [], ME["nichandle"]), seen.err
    assert stand_in.verdicts == [SIGNED]
    assert set(stand_in.connects) == {"eu.api.ovh.com:443"}
