"""The rules that `login` requests for a new key, without a terminal."""

import io
import sys
from pathlib import Path

import pytest

from ovh_proxy.cli.login_input import GivenRules, choose_rules
from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile
from ovh_proxy.recording.calls import RecordedCall


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def profile(*rules: str) -> Profile:
    keys = ApplicationCredential(Secret("A"), Secret("S"), None)
    access_rules = tuple(rule for text in rules for rule in parse_access_rule(text))
    return Profile("personal", parse_endpoint("ovh-eu"), keys, access_rules or None)


def chosen(given: GivenRules, *rules: str) -> list[str]:
    return [str(rule) for rule in choose_rules(given, profile(*rules))]


def recording(tmp_path: Path, *calls: tuple[str, str, str]) -> str:
    path = tmp_path / "calls.jsonl"
    lines = (RecordedCall(name, "ovh-eu", route, method) for name, method, route in calls)
    path.write_text("".join(line.to_line() for line in lines))
    return str(path)


def test_a_recording_gives_the_rules_of_this_profile_only(tmp_path: Path) -> None:
    file = recording(
        tmp_path,
        ("personal", "GET", "/me"),
        ("personal", "PUT", "/domain/zone/*"),
        ("other", "GET", "/sms"),
    )

    rules = chosen(GivenRules(recording=file))

    assert set(rules) == {"GET /me", "PUT /domain/zone/*", "POST /auth/logout"}


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (
            (("other", "GET", "/sms"), ("another", "GET", "/me")),
            "of these profiles: another, other",
        ),
        ((), "of these profiles: none"),
    ],
    ids=["other profiles", "empty"],
)
def test_a_recording_without_calls_of_the_profile_names_the_other_profiles(
    tmp_path: Path, calls: tuple[tuple[str, str, str], ...], message: str
) -> None:
    file = recording(tmp_path, *calls)

    with pytest.raises(UsageError, match="has no calls of profile 'personal'") as caught:
        chosen(GivenRules(recording=file))

    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GivenRules(rule=("me",)), "--rule: malformed rule 'me'; write METHOD /path"),
        (GivenRules(rule=("GET /1.0/me",)), "--rule: rule path '/1.0/me' never"),
        (GivenRules(read_only=("me",)), "--read-only: rule 'read-only me': the path must"),
        (GivenRules(read_write=("/v1/me",)), "--read-write: rule path '/v1/me' never"),
        (GivenRules(rule=("GET /v2/iam",)), "support none of these rules: GET /v2/iam"),
        (GivenRules(recording="nowhere.jsonl"), "nowhere.jsonl does not exist"),
        (GivenRules(), "no access rules for the new key; use --rule"),
    ],
    ids=["no method", "version", "relative path", "v1", "only v2", "no file", "nothing"],
)
def test_rules_that_cannot_be_requested_are_reported(given: GivenRules, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(given)


def test_flags_override_the_rules_of_the_profile() -> None:
    assert chosen(GivenRules(rule=("GET /ip",)), "GET /me") == ["GET /ip", "POST /auth/logout"]


def test_rules_that_allow_logout_are_not_changed() -> None:
    assert chosen(GivenRules(), "POST /auth/*", "GET /me") == ["POST /auth/*", "GET /me"]


@pytest.mark.parametrize("rule", ["GET /auth/*", "POST /me"])
def test_the_right_to_log_out_is_added(rule: str) -> None:
    assert chosen(GivenRules(), rule) == [rule, "POST /auth/logout"]
