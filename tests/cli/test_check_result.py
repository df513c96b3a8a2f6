import json
from datetime import UTC, datetime

import pytest

from ovh_proxy.cli.check_result import CheckResult, judge_failure, judge_key, judge_token
from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import (
    ClockUnknown,
    CredentialRefused,
    NoCredential,
    Overloaded,
    OvhProxyError,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile

RESULT = CheckResult(Profile("ci", parse_endpoint("ovh-eu"), AccessToken(Secret("unseen"))))


def _credential(status: str, expiration: str | None = None) -> bytes:
    rules = [{"method": "GET", "path": "/me"}]
    return json.dumps({"status": status, "expiration": expiration, "rules": rules}).encode()


@pytest.mark.parametrize(
    ("state", "problem", "remedy"),
    [
        ("validated", None, None),
        ("pendingValidation", "is not validated yet", "open its validation URL"),
        ("refused", "the account's owner refused", "run: ovh-proxy login --profile ci"),
        ("expired", "has expired", "run: ovh-proxy login --profile ci"),
        ("newWord", "is newWord", "run: ovh-proxy login --profile ci"),
    ],
)
def test_each_state_of_a_consumer_key_has_its_remedy(
    state: str, problem: str | None, remedy: str | None
) -> None:
    result = judge_key(RESULT, 200, _credential(state))

    assert result.state == state
    assert result.key_rules == ("GET /me",)
    assert (result.problem or "").endswith(problem or "") or problem in (result.problem or "")
    assert (result.problem is None) == (problem is None)
    assert (result.remedy or "").startswith(remedy or "")


@pytest.mark.parametrize(
    ("expiration", "expires"),
    [
        (None, "never"),
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
    ids=["unlimited", "UTC", "its zone", "no zone"],
)
def test_the_expiry_of_a_consumer_key_is_a_datetime(
    expiration: str | None, expires: datetime | str
) -> None:
    result = judge_key(RESULT, 200, _credential("validated", expiration))

    assert result.expires == expires


@pytest.mark.parametrize(
    ("status", "code", "state", "remedy"),
    [
        (403, "INVALID_KEY", "unknown application", "https://eu.api.ovh.com/createApp/"),
        (400, "INVALID_SIGNATURE", "wrong secret", "correct application_secret"),
        (403, "NOT_CREDENTIAL", "revoked", "ovh-proxy login --profile ci"),
        (403, "INVALID_CREDENTIAL", "not valid", "ovh-proxy login --profile ci"),
        (400, "QUERY_TIME_OUT", "unknown", "try again"),
    ],
)
def test_each_refusal_of_a_consumer_key_has_its_remedy(
    status: int, code: str, state: str, remedy: str
) -> None:
    result = judge_key(RESULT, status, json.dumps({"errorCode": code}).encode())

    assert (result.state, bool(result.problem)) == (state, True)
    assert remedy in (result.remedy or "")


def test_a_key_whose_rules_do_not_grant_this_call_is_good() -> None:
    result = judge_key(RESULT, 403, b'{"message":"This call has not been granted"}')

    assert (result.state, result.problem) == ("validated", None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"status":"validated","expiration":"soon"}'),
        (200, b"[" * 100_000),
        (503, b"{}"),
        (404, b'{"message":"nothing"}'),
    ],
    ids=["html", "a list", "no date", "nested without end", "503", "404"],
)
def test_an_unexpected_response_fails(status: int, body: bytes) -> None:
    result = judge_key(RESULT, status, body)

    assert result.problem == f"unexpected response from OVHcloud (status {status})"


@pytest.mark.parametrize(
    ("status", "state", "works"),
    [
        (200, "valid", True),
        (401, "refused", False),
        (403, "refused", False),
        (500, "unknown", False),
    ],
)
def test_a_token_is_judged_by_the_status(status: int, state: str, works: bool) -> None:
    result = judge_token(RESULT, status, b"{}")

    assert (result.state, result.problem is None) == (state, works)


@pytest.mark.parametrize(
    ("failure", "reachable", "state", "remedy"),
    [
        (NoCredential("no key"), True, "missing", "run: ovh-proxy login --profile ci"),
        (CredentialRefused("said no"), False, "refused", "correct client_id"),
        (ClockUnknown("no time"), True, "unknown", "check that the endpoint is an OVHcloud API"),
        (
            UpstreamTls("not trusted"),
            False,
            "unknown",
            "check this machine's clock and certificates",
        ),
        (UpstreamUnreachable("refuses"), False, "unknown", "check the endpoint's spelling"),
        (UpstreamTimeout("in time"), False, "unknown", "check the network and firewall"),
        (UpstreamBroken("no HTTP"), False, "unknown", "try again"),
        (Overloaded("busy"), True, "unknown", "try again"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OvhProxyError) else "",
)
def test_each_error_has_its_remedy(
    failure: OvhProxyError, reachable: bool, state: str, remedy: str
) -> None:
    result = judge_failure(RESULT, failure)

    assert (result.is_reachable, result.state) == (reachable, state)
    assert result.problem == str(failure)
    assert (result.remedy or "").startswith(remedy)
