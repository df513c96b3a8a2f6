import json
from pathlib import Path

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import tool

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPT = Path(__file__).parent / "scripts/lexicon_ovh.py"


@pytest.fixture
def python() -> Path:
    """The interpreter of lexicon; its command would look up the zone in DNS."""
    return Path(tool("lexicon")).parent / "python3"


async def test_lexicon_manages_a_record(
    run_client: RunClient, stand_in: StandIn, python: Path
) -> None:
    result = await run_client(python, SCRIPT, "example.org", flags=["--made-up-keys"])

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == {"listed": ["second"], "left": []}
    assert {"GET", "POST", "PUT", "DELETE"} == {one.method for one in stand_in.signed}
    assert set(stand_in.verdicts) == {SIGNED}


async def test_lexicon_reports_an_unknown_zone(
    run_client: RunClient, stand_in: StandIn, python: Path
) -> None:
    result = await run_client(python, SCRIPT, "example.com", flags=["--made-up-keys"])

    assert (result.code, result.keys) == (1, [])
    assert "Domain example.com not found" in result.err
    assert set(stand_in.verdicts) == {SIGNED}


async def test_lexicon_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn, python: Path
) -> None:
    rules = ("--made-up-keys", "--rule", "read-only /domain")

    result = await run_client(python, SCRIPT, "example.org", flags=rules)

    assert (result.code, result.keys) == (1, [])
    assert "403 " in result.err
    assert "POST /domain/zone/example.org/record" in result.err
    assert {one.method for one in stand_in.signed} == {"GET"}
