"""What a check found of one profile, its warnings, and what to do about it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from ovh_proxy.cli.terminal import relative_time
from ovh_proxy.config.files import permission_problem
from ovh_proxy.core.errors import (
    ClockUnknown,
    CredentialRefused,
    NoCredential,
    OvhProxyError,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import read_credential_state, refusal_of
from ovh_proxy.ovhcloud.key_rules import wider_rules


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found out about a profile.

    Attributes:
        is_reachable: whether the endpoint responds; None if it was not asked.
        clock_delta: seconds that OVHcloud's clock is ahead of this machine's.
        state: the credential's state, in OVHcloud's word if it has one.
        expires: None if unknown.
        key_rules: the access rules of the consumer key at OVHcloud; None if unknown.
        problem: why the profile does not work, or None.
        remedy: how to fix the problem.
        warnings: remarks that do not make the check fail.
    """

    profile: Profile
    is_reachable: bool | None = None
    clock_delta: float | None = None
    state: str = "unknown"
    expires: datetime | Literal["never"] | None = None
    key_rules: tuple[str, ...] | None = None
    problem: str | None = None
    remedy: str | None = None
    warnings: tuple[str, ...] = ()

    def failed(self, state: str, problem: str, remedy: str) -> "CheckResult":
        """This result with a problem; the remedy may contain {profile} and {create_app}."""
        remedy = remedy.format(
            profile=self.profile.name,
            create_app=self.profile.endpoint.create_app_url or "the endpoint's createApp page",
        )
        return replace(self, state=state, problem=problem, remedy=remedy)


_LOGIN = "run: ovh-proxy login --profile {profile}"
_VALIDATE = "open its validation URL, or get a new key: ovh-proxy login --profile {profile}"
_TRY_AGAIN = "try again later; if it persists, see OVHcloud's status page"
# State: problem, remedy. Source: the states of `auth.CredentialStateEnum`.
_STATES = {
    "pendingValidation": ("the consumer key is not validated yet", _VALIDATE),
    "refused": ("the account's owner refused the consumer key", _LOGIN),
    "expired": ("the consumer key has expired", _LOGIN),
}

# Error code: state, problem, remedy.
_REFUSALS = {
    "INVALID_KEY": (
        "unknown application",
        "the endpoint does not know the application key",
        "correct application_key, or create an application at this endpoint: {create_app}",
    ),
    "INVALID_SIGNATURE": (
        "wrong secret",
        "OVHcloud rejects the signature",
        "correct application_secret; it was shown when the application was created",
    ),
    "NOT_CREDENTIAL": (
        "revoked",
        "OVHcloud does not know the consumer key: it was revoked or is mistyped",
        _LOGIN,
    ),
    "INVALID_CREDENTIAL": (
        "not valid",
        "the consumer key is not validated yet, was refused, or has expired",
        _VALIDATE,
    ),
    "QUERY_TIME_OUT": (
        "unknown",
        "OVHcloud rejects the timestamp, which is OVHcloud's own time",
        _TRY_AGAIN,
    ),
}

# Error: state, remedy. The first match counts, so subclasses come first.
_FAILURES: tuple[tuple[type[OvhProxyError], str, str], ...] = (
    (NoCredential, "missing", _LOGIN),
    (CredentialRefused, "refused", "correct client_id and client_secret in the store"),
    (
        ClockUnknown,
        "unknown",
        "check that the endpoint is an OVHcloud API, such as https://eu.api.ovh.com/1.0",
    ),
    (
        UpstreamTls,
        "unknown",
        "check this machine's clock and certificates, or set upstream.ca_file",
    ),
    (
        UpstreamUnreachable,
        "unknown",
        "check the endpoint's spelling, the network, DNS and firewall",
    ),
    (UpstreamTimeout, "unknown", "check the network and firewall, then try again"),
    (OvhProxyError, "unknown", _TRY_AGAIN),
)


def judge_key(result: CheckResult, status: int, body: bytes) -> CheckResult:
    """The result with the response to `GET /auth/currentCredential` read."""
    refusal = refusal_of(status, body)
    if refusal == "NOT_GRANTED_CALL":
        return replace(
            result, state="validated"
        )  # the key is good; its rules do not allow this call
    if refusal is not None:
        return result.failed(*_REFUSALS[refusal])
    try:
        if status != 200:
            raise ValueError
        state = read_credential_state(body)
    except (ValueError, RecursionError):
        return _unexpected(result, status)
    # OVHcloud sends a time zone; a datetime without one could not be compared.
    expires = state.expiration and state.expiration.replace(tzinfo=state.expiration.tzinfo or UTC)
    result = replace(result, expires=expires or "never", key_rules=state.rules)
    if state.status == "validated":
        return replace(result, state=state.status)
    problem = _STATES.get(state.status, (f"the consumer key is {state.status}", _LOGIN))
    return result.failed(state.status, *problem)


def judge_token(result: CheckResult, status: int, body: bytes) -> CheckResult:
    """The result with the response to `GET /auth/details`, sent with a token, read."""
    if status == 200:
        return replace(result, state="valid")
    if status in (401, 403):
        return result.failed(
            "refused",
            f"OVHcloud rejects the token (status {status}): it is unknown, revoked or expired",
            "create a new token and put it into the store",
        )
    return _unexpected(result, status)


def judge_failure(result: CheckResult, failure: OvhProxyError) -> CheckResult:
    """The result with an error that ended the check."""
    state, remedy = next(rest for kind, *rest in _FAILURES if isinstance(failure, kind))
    if result.is_reachable is None:
        result = replace(result, is_reachable=not isinstance(failure, UpstreamFailed))
    return result.failed(state, str(failure), remedy)


def _unexpected(result: CheckResult, status: int) -> CheckResult:
    return result.failed(
        "unknown", f"unexpected response from OVHcloud (status {status})", _TRY_AGAIN
    )


# A clock this far off gets a warning; calls are signed with OVHcloud's time anyway.
CLOCK_WARNING_S = 60.0
SOON_S = 7 * 86_400.0


def with_warnings(result: CheckResult, now: datetime, within_s: float | None) -> CheckResult:
    """The result with its warnings.

    Args:
        within_s: a key that expires within this time fails; None: within a week, it is a warning.
    """
    result = replace(result, warnings=tuple(_warnings(result)))
    expires = result.expires
    if result.problem or not isinstance(expires, datetime):
        return result
    if expires - now > timedelta(seconds=SOON_S if within_s is None else within_s):
        return result
    text = f"the consumer key expires {relative_time(expires, now)}"
    if within_s is None:
        return replace(result, warnings=(text, *result.warnings))
    remedy = "get a new one in time: ovh-proxy login --profile {profile}"
    return result.failed(result.state, text, remedy)


def _warnings(result: CheckResult) -> Iterator[str]:
    delta = result.clock_delta
    if delta is not None and abs(delta) > CLOCK_WARNING_S:
        yield (
            f"this machine's clock is off by {abs(delta):.0f} s; calls are signed with OVHcloud's "
            "time anyway"
        )
    rules, key_rules = result.profile.access_rules, result.key_rules
    wider = wider_rules(rules, key_rules) if rules is not None and key_rules is not None else ()
    if wider:
        more = f"; and {len(wider) - 3} more" if len(wider) > 3 else ""
        yield (
            f"the store grants calls that the key does not grant; OVHcloud rejects them: "
            f"{'; '.join(wider[:3])}{more}"
        )


def permission_warnings(files: Iterable[str]) -> Iterator[str]:
    """A warning, with its remedy, for each file of secrets that other users can read."""
    for name in files:
        try:
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:  # deleted since it was read
            continue
        try:
            problem = permission_problem(descriptor, name)
        finally:
            os.close(descriptor)
        if problem:
            yield f"{name}: {problem.partition('  (or allow')[0]}"
