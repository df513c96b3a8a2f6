"""Which rights a new key is asked to have, without anybody to ask."""

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
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def profile(*rules: str) -> Profile:
    keys = ApplicationCredential(Secret("A"), Secret("S"), None)
    granted = tuple(rule for text in rules for rule in parse_access_rule(text))
    return Profile("personal", parse_endpoint("ovh-eu"), keys, granted or None)


def chosen(given: GivenRules, *rules: str) -> list[str]:
    return [str(rule) for rule in choose_rules(given, profile(*rules))]


def recording(tmp_path: Path, *calls: tuple[str, str, str]) -> str:
    path = tmp_path / "calls.jsonl"
    lines = (RecordedCall(name, "ovh-eu", route, method) for name, method, route in calls)
    path.write_text("".join(line.to_line() for line in lines))
    return str(path)


def test_a_recording_gives_the_rules_of_the_profile_alone(tmp_path: Path) -> None:
    file = recording(
        tmp_path,
        ("personal", "GET", "/me"),
        ("personal", "PUT", "/domain/zone/*"),
        ("other", "GET", "/sms"),
    )

    rules = chosen(GivenRules(recording=file))

    assert set(rules) == {"GET /me", "PUT /domain/zone/*", "POST /auth/logout"}


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ((("other", "GET", "/sms"), ("another", "GET", "/me")), "of another, other"),
        ((), "of none at all"),
    ],
    ids=["of others", "empty"],
)
def test_a_recording_without_a_call_of_the_profile_names_whose_it_has(
    tmp_path: Path, calls: tuple[tuple[str, str, str], ...], told: str
) -> None:
    file = recording(tmp_path, *calls)

    with pytest.raises(UsageError, match="has no call of profile personal") as caught:
        chosen(GivenRules(recording=file))

    assert str(caught.value).endswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (GivenRules(rule=("me",)), "--rule: malformed rule 'me'; write METHOD /path"),
        (
            GivenRules(rule=("GET /1.0/me",)),
            "--rule: rule path '/1.0/me' never",
        ),
        (
            GivenRules(read_only=("me",)),
            "--read-only: rule 'read-only me': the path must",
        ),
        (
            GivenRules(read_write=("/v1/me",)),
            "--read-write: rule path '/v1/me' never",
        ),
        (GivenRules(rule=("GET /v2/iam",)), "those of v2 are not"),
        (GivenRules(recording="nowhere.jsonl"), "nowhere.jsonl does not exist"),
        (GivenRules(), "what may the key do\\? give --rule"),
    ],
    ids=["no rule", "with its version", "no path", "of v1", "of v2 alone", "no file", "nothing"],
)
def test_what_cannot_be_asked_for_is_told(given: GivenRules, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        chosen(given)


def test_flags_stand_in_the_place_of_the_store_s_rules() -> None:
    assert chosen(GivenRules(rule=("GET /ip",)), "GET /me") == ["GET /ip", "POST /auth/logout"]


def test_a_key_that_may_log_out_already_is_asked_for_as_it_is() -> None:
    assert chosen(GivenRules(), "POST /auth/*", "GET /me") == ["POST /auth/*", "GET /me"]


@pytest.mark.parametrize("rule", ["GET /auth/*", "POST /me"])
def test_a_key_that_may_not_log_out_is_asked_for_with_the_right_to(rule: str) -> None:
    assert chosen(GivenRules(), rule) == [rule, "POST /auth/logout"]
