import json
from pathlib import Path

import pytest
from support.clients import Through
from support.stand_in import SIGNED, StandIn
from support.tools import tool

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPT = Path(__file__).parent / "scripts/lexicon_ovh.py"


@pytest.fixture
def python() -> Path:
    """The interpreter beside the command: that asks DNS for the zone, which tests have none of."""
    return Path(tool("lexicon")).parent / "python3"


async def test_lexicon_keeps_a_record(through: Through, stand_in: StandIn, python: Path) -> None:
    seen = await through(python, SCRIPT, "example.org", flags=["--made-up-keys"])

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert json.loads(seen.out) == {"listed": ["second"], "left": []}
    assert {"GET", "POST", "PUT", "DELETE"} == {one.method for one in stand_in.signed}
    assert set(stand_in.verdicts) == {SIGNED}


async def test_lexicon_sees_an_unknown_zone(
    through: Through, stand_in: StandIn, python: Path
) -> None:
    seen = await through(python, SCRIPT, "example.com", flags=["--made-up-keys"])

    assert (seen.code, seen.keys) == (1, [])
    assert "Domain example.com not found" in seen.err
    assert set(stand_in.verdicts) == {SIGNED}


async def test_lexicon_is_held_to_the_rules(
    through: Through, stand_in: StandIn, python: Path
) -> None:
    rules = ("--made-up-keys", "--rule", "read-only /domain")

    seen = await through(python, SCRIPT, "example.org", flags=rules)

    assert (seen.code, seen.keys) == (1, [])
    assert "403 " in seen.err
    assert "POST /domain/zone/example.org/record" in seen.err
    assert {one.method for one in stand_in.signed} == {"GET"}
