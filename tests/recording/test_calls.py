import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.access_rules import AccessRule, grants
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.target import decode_path
from ovh_proxy.recording.api_schema import Templates
from ovh_proxy.recording.calls import RecordedCall, generalise, parse_recording, smallest_rules


def _calls(*texts: str) -> list[RecordedCall]:
    pairs = [text.split(" ") for text in texts]
    return [RecordedCall("personal", "ovh-eu", path, method) for method, path in pairs]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/me", "/me"),
        ("/", "/"),
        ("/me/", "/me/"),
        ("/me/bill/FR10030001", "/me/bill/*"),
        ("/domain/zone/example.org/record/1,2,3", "/domain/zone/*/record/*"),
        ("/ip/192.0.2.0%2F24/reverse", "/ip/*/reverse"),
        ("/v2/iam/policy/123e4567-e89b-12d3-a456-426614174000", "/v2/iam/policy/*"),
        ("/v2", "/v2"),
        ("/v2/", "/v2/"),
        ("/dedicated/server/myserver", "/dedicated/server/myserver"),
        ("/domain/zone.json", "/domain/zone.json"),
    ],
)
def test_without_a_schema_identifiers_are_recognised_by_shape(path: str, pattern: str) -> None:
    assert generalise(path) == pattern


@pytest.mark.parametrize("path", ["/123", "/192.0.2.0%2F24/me", "/me;v=1", "/v2/1"])
def test_the_first_segment_is_never_an_identifier(path: str) -> None:
    assert generalise(path) == path


@pytest.mark.parametrize("path", ["/*", "/m*/bill", "/v2/*"])
def test_a_first_segment_with_a_star_has_no_pattern(path: str) -> None:
    assert generalise(path) is None


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/dedicated/server/myserver", "/dedicated/server/*"),
        ("/v2/dedicated/server/myserver", "/v2/dedicated/server/*"),
        # A literal segment of the API, although it looks like an identifier.
        ("/dedicated/server/1", "/dedicated/server/1"),
        ("/dedicated/server/myserver/unknown/7", "/dedicated/server/myserver/unknown/*"),
    ],
)
def test_a_template_takes_precedence_over_the_shape(path: str, pattern: str) -> None:
    templates = Templates(("/dedicated/server/{serviceName}", "/dedicated/server/1"))

    assert generalise(path, templates) == pattern


@pytest.mark.parametrize(
    ("calls", "rules"),
    [
        ([], []),
        (["GET /me", "GET /me"], ["GET /me"]),
        (["POST /b", "DELETE /b", "GET /b", "PUT /a"], ["PUT /a", "GET,POST,DELETE /b"]),
        (["GET /a/*", "GET /a/*/b", "GET /a"], ["GET /a", "GET /a/*"]),
        (["GET /a/*", "POST /a/*/b", "GET /a/*/b"], ["GET /a/*", "POST /a/*/b"]),
        (["GET /a/*", "GET /a/"], ["GET /a/*"]),
        (["GET /a/*", "GET /a/**"], ["GET /a/**"]),
        (["GET /a/*/c", "GET /a/*"], ["GET /a/*"]),
        (["POST /auth/*", "POST /auth/logout"], ["POST /auth/*", "POST /auth/logout"]),
        (["OPTIONS /me", "PATCH /me"], ["PATCH /me"]),
    ],
    ids=[
        "nothing",
        "each once",
        "methods joined",
        "what is covered goes",
        "by method",
        "a bare slash",
        "two that cover each other",
        "whatever came first",
        "logout stays",
        "no such rule",
    ],
)
def test_the_rules_are_the_smallest(calls: list[str], rules: list[str]) -> None:
    assert [str(rule) for rule in smallest_rules(_calls(*calls))] == rules


_SEGMENTS = st.sampled_from(
    [
        "v2",
        "me",
        "zone",
        "bill",
        "1",
        "example.org",
        "1,2",
        "192.0.2.0%2F24",
        "a%2Cb",
        "%6De",
        "*",
        "",
    ]
)
_PATHS = st.lists(_SEGMENTS, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST", "PATCH"]), _PATHS), max_size=12))
def test_the_rules_grant_every_call_they_came_from(seen: list[tuple[str, str]]) -> None:
    noted = [(method, path, generalise(path)) for method, path in seen]
    named = [(method, path, pattern) for method, path, pattern in noted if pattern is not None]

    rules = smallest_rules(RecordedCall("p", "e", pattern, method) for method, _, pattern in named)

    assert all(grants(rules, method, path, decode_path(path)) for method, path, _ in named)
    assert not any(
        grants(rules[:at] + rules[at + 1 :], method, path, decode_path(path))
        for at, rule in enumerate(rules)
        for method, path in [(next(iter(rule.methods)), rule.pattern)]
        if len(rule.methods) == 1
    )


def test_a_line_round_trips() -> None:
    calls = tuple(_calls("GET /me", "PATCH /v2/iam/policy/*", "OPTIONS /a%2Fb"))

    text = "".join(call.to_line() for call in calls)

    assert parse_recording(text, "file") == calls
    assert json.loads(text.splitlines()[0]) == {
        "profile": "personal",
        "endpoint": "ovh-eu",
        "call": "GET /me",
    }


def test_concatenated_recordings_are_parsed() -> None:
    text = "".join(call.to_line() for call in _calls("GET /me", "GET /a"))

    assert len(parse_recording(f"{text}\r\n\n{text}", "file")) == 2


@pytest.mark.parametrize(
    "line",
    [
        "profiles:",
        "[]",
        "7",
        '{"profile": "p", "endpoint": "e"}',
        '{"profile": "p", "call": "GET /me"}',
        '{"profile": "p", "endpoint": "e", "call": "get /me"}',
        '{"profile": "p", "endpoint": "e", "call": "GET me"}',
        '{"profile": "p", "endpoint": "e", "call": "GET /me /x"}',
        '{"profile": "p", "endpoint": "e", "call": "GET /me?x=1"}',
        '{"profile": "p", "endpoint": "e", "call": "GET /é"}',
        '{"profile": "p", "endpoint": 7, "call": "GET /me"}',
        '{"profile": "p", "endpoint": "e", "call": "GET /%s"}' % ("%" + "25" * 20 + "41"),
        "[" * 100_000,
    ],
)
def test_an_invalid_line_is_reported_with_its_number(line: str) -> None:
    good = _calls("GET /me")[0].to_line()

    with pytest.raises(ConfigurationError) as caught:
        parse_recording(f"{good}{line}\n{good}", "some/file")

    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.path) == ("some/file", 2, "")


def test_only_the_first_invalid_lines_are_reported() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_recording("profiles:\n" * 500, "credentials.yaml")

    assert len(caught.value.problems) == 10


def test_control_characters_in_names_are_escaped() -> None:
    line = '{"profile": "\\u001b[2J", "endpoint": "e", "call": "GET /me"}'

    (call,) = parse_recording(line, "file")

    assert call.profile == "\\x1b[2J"


def test_the_rules_of_a_recording_can_be_parsed() -> None:
    assert smallest_rules(_calls("GET /me")) == (AccessRule(frozenset({"GET"}), "/me"),)
