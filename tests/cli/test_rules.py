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


async def test_the_rules_and_the_url_of_a_profile_are_printed(ask: Ask, file: Path) -> None:
    ended = await ask("rules", file, "--profile", "personal")

    assert ended.code == 0
    assert ended.out == (
        "# profile personal (ovh-eu)\n"
        "access_rules:\n"
        "  - GET /domain/zone/*/record\n"
        "  - POST /domain/zone/word/record\n"
        "  - GET,PATCH /me\n"
        "  - GET /v2/iam/policy\n"
        "# Create keys with these rights at\n"
        "# https://eu.api.ovh.com/createToken/"
        "?GET=/domain/zone/*/record&POST=/domain/zone/word/record&GET=/me\n"
        "# Rules of consumer keys support only GET, POST, PUT and DELETE; OVHcloud does not\n"
        "# document how they name v2 calls. The page does not request rights for:\n"
        "#   PATCH /me\n"
        "#   GET /v2/iam/policy\n"
        "# Access rules cannot name these methods; `* /path` grants them with all others:\n"
        "#   OPTIONS /me\n"
    )


async def test_without_a_profile_all_profiles_are_printed(ask: Ask, file: Path) -> None:
    ended = await ask("rules", file)

    personal, robot = ended.out.split("\n\n")
    assert personal.startswith("# profile personal (ovh-eu)\naccess_rules:\n")
    assert robot == "# profile robot (http://127.0.0.1:9/1.0)\naccess_rules:\n  - GET /ip\n"


async def test_the_api_schema_detects_identifiers_that_their_shape_does_not(
    ask: Ask, file: Path, home: Path
) -> None:
    section = {"apis": [{"path": "/domain/zone/{zoneName}/record", "operations": [{}]}]}
    (home / "domain.json").write_text(json.dumps(section))

    ended = await ask("rules", file, "--profile", "personal", "--schema", home)

    assert "  - GET,POST /domain/zone/*/record\n" in ended.out


async def test_json_has_every_profile(ask: Ask, file: Path) -> None:
    ended = await ask("rules", file, "--json")

    personal, robot = json.loads(ended.out)
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


async def test_odd_paths_are_valid_yaml(ask: Ask, home: Path) -> None:
    paths = ["/a:", "/it's", "/x#y".replace("#", "%23"), "/{a}", "/a&b"]
    calls = [RecordedCall("p", "ovh-eu", path, "GET") for path in paths]
    (home / "odd").write_text("".join(call.to_line() for call in calls))

    ended = await ask("rules", "odd")

    listed = yaml.safe_load(ended.out)["access_rules"]
    assert sorted(listed) == sorted(f"GET {path}" for path in paths)
    assert all(parse_access_rule(rule) for rule in listed)


async def test_methods_that_rules_cannot_name_give_no_rules(ask: Ask, home: Path) -> None:
    (home / "odd").write_text(RecordedCall("p", "ovh-eu", "/me", "OPTIONS").to_line())

    ended = await ask("rules", "odd")

    assert "access_rules:" not in ended.out
    assert "OPTIONS /me" in ended.out


async def test_the_error_for_an_empty_recording_says_how_to_record(ask: Ask, home: Path) -> None:
    (home / "empty").write_text("\n")

    ended = await ask("rules", "empty")

    assert (ended.code, ended.out) == (1, "")
    assert "ovh-proxy run --record-rules empty" in ended.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("garbled",), "garbled:1: not a recorded call"),
        (
            ("rules.jsonl", "--profile", "ci"),
            "--profile: unknown profile 'ci'; use personal or robot\n",
        ),
        (("rules.jsonl", "--schema", "nowhere"), "--schema: nowhere is not a directory"),
        ((), "FILE"),
    ],
    ids=["missing", "garbled", "no such profile", "no schema", "no file"],
)
async def test_invalid_arguments_are_named(
    ask: Ask, file: Path, home: Path, arguments: tuple[str, ...], what: str
) -> None:
    (home / "garbled").write_text("profiles:\n")

    ended = await ask("rules", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert what in ended.err
