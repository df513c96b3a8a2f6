import json
from pathlib import Path

import pytest
import yaml
from support.ended import Ask

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.recording.calls import RecordedCall

pytestmark = pytest.mark.asyncio


@pytest.fixture
def file(home: Path) -> Path:
    """A recording of two profiles."""
    calls = [
        RecordedCall("personal", "ovh-eu", "/me", "GET"),
        RecordedCall("personal", "ovh-eu", "/domain/zone/word/record", "POST"),
        RecordedCall("personal", "ovh-eu", "/domain/zone/*/record", "GET"),
        RecordedCall("personal", "ovh-eu", "/v2/iam/policy", "GET"),
        RecordedCall("personal", "ovh-eu", "/me", "PATCH"),
        RecordedCall("personal", "ovh-eu", "/me", "OPTIONS"),
        RecordedCall("robot", "http://127.0.0.1:9/1.0", "/ip", "GET"),
    ]
    path = home / "rules.jsonl"
    path.write_text("".join(call.to_line() for call in calls))
    return path


async def test_rules_and_page_are_printed_for_a_profile(ask: Ask, file: Path) -> None:
    said = await ask("rules", file, "--profile", "personal")

    assert said.code == 0
    assert said.out == (
        "# profile personal (ovh-eu)\n"
        "access_rules:\n"
        "  - GET /domain/zone/*/record\n"
        "  - POST /domain/zone/word/record\n"
        "  - GET,PATCH /me\n"
        "  - GET /v2/iam/policy\n"
        "# Keys with these rights are made at\n"
        "# https://eu.api.ovh.com/createToken/"
        "?GET=/domain/zone/*/record&POST=/domain/zone/word/record&GET=/me\n"
        "# A consumer key's rules know GET, POST, PUT and DELETE alone, and how they name v2\n"
        "# calls is not documented. So these are not among the rights that the page asks for:\n"
        "#   PATCH /me\n"
        "#   GET /v2/iam/policy\n"
        "# No rule names these methods; `* /path` grants them, with all others:\n"
        "#   OPTIONS /me\n"
    )


async def test_every_profile_is_printed_where_none_is_named(ask: Ask, file: Path) -> None:
    said = await ask("rules", file)

    personal, robot = said.out.split("\n\n")
    assert personal.startswith("# profile personal (ovh-eu)\naccess_rules:\n")
    assert robot == "# profile robot (http://127.0.0.1:9/1.0)\naccess_rules:\n  - GET /ip\n"


async def test_the_api_schema_tells_the_identifiers_that_shape_does_not(
    ask: Ask, file: Path, home: Path
) -> None:
    section = {"apis": [{"path": "/domain/zone/{zoneName}/record", "operations": [{}]}]}
    (home / "domain.json").write_text(json.dumps(section))

    said = await ask("rules", file, "--profile", "personal", "--schema", home)

    assert "  - GET,POST /domain/zone/*/record\n" in said.out


async def test_programs_get_json(ask: Ask, file: Path) -> None:
    said = await ask("rules", file, "--json")

    personal, robot = json.loads(said.out)
    assert robot == {
        "profile": "robot",
        "endpoint": "http://127.0.0.1:9/1.0",
        "access_rules": ["GET /ip"],
        "create_token_url": None,
        "not_in_keys": [],
        "not_in_rules": [],
    }
    assert personal["not_in_keys"] == ["PATCH /me", "GET /v2/iam/policy"]
    assert personal["create_token_url"].startswith("https://eu.api.ovh.com/createToken/?GET=/")


async def test_odd_paths_are_still_yaml(ask: Ask, home: Path) -> None:
    paths = ["/a:", "/it's", "/x#y".replace("#", "%23"), "/{a}", "/a&b"]
    calls = [RecordedCall("p", "ovh-eu", path, "GET") for path in paths]
    (home / "odd").write_text("".join(call.to_line() for call in calls))

    said = await ask("rules", "odd")

    listed = yaml.safe_load(said.out)["access_rules"]
    assert sorted(listed) == sorted(f"GET {path}" for path in paths)
    assert all(parse_access_rule(rule) for rule in listed)


async def test_what_no_rule_can_name_gives_no_rules(ask: Ask, home: Path) -> None:
    (home / "odd").write_text(RecordedCall("p", "ovh-eu", "/me", "OPTIONS").to_line())

    said = await ask("rules", "odd")

    assert "access_rules:" not in said.out
    assert "OPTIONS /me" in said.out


async def test_an_empty_recording_says_how_to_fill_it(ask: Ask, home: Path) -> None:
    (home / "empty").write_text("\n")

    said = await ask("rules", "empty")

    assert (said.code, said.out) == (1, "")
    assert "ovh-proxy run --record-rules empty" in said.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("garbled",), "garbled:1: not a recorded call"),
        (("rules.jsonl", "--profile", "ci"), "--profile ci is not in rules.jsonl"),
        (("rules.jsonl", "--schema", "nowhere"), "--schema: nowhere is not a directory"),
        ((), "FILE"),
    ],
    ids=["missing", "garbled", "no such profile", "no schema", "no file"],
)
async def test_what_cannot_be_used_is_named(
    ask: Ask, file: Path, home: Path, arguments: tuple[str, ...], what: str
) -> None:
    (home / "garbled").write_text("profiles:\n")

    said = await ask("rules", *arguments)

    assert (said.code, said.out) == (2, "")
    assert what in said.err
