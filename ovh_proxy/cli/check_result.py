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
    """A profile, and what is known of it.

    Attributes:
        is_reachable: whether the endpoint answers; None when it was not asked.
        clock_delta: seconds that OVHcloud's clock is ahead of this machine's.
        state: of the credential, in OVHcloud's own word where it has one.
        expires: None where it is not known.
        key_rules: what OVHcloud lets the consumer key call; None where it does not tell.
        problem: why the profile does not work, or None.
        remedy: what to do about that.
        warnings: what is worth a word, and fails nothing.
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

    def fails(self, state: str, problem: str, remedy: str) -> "CheckResult":
        """The same with what is wrong; a remedy may name the {profile} and its {create_app}."""
        told = remedy.format(
            profile=self.profile.name,
            create_app=self.profile.endpoint.create_app_url or "the endpoint's createApp page",
        )
        return replace(self, state=state, problem=problem, remedy=told)


_LOGIN = "run: ovh-proxy login --profile {profile}"

_VALIDATE = "open its validation URL, or get a new key: ovh-proxy login --profile {profile}"

_TRY_AGAIN = "try again; if it stays so, OVHcloud's status page may know more"


# Each with the problem and its remedy. Source: the states of `auth.CredentialStateEnum`.
_STATES = {
    "pendingValidation": ("nobody has validated the consumer key yet", _VALIDATE),
    "refused": ("its owner refused the consumer key", _LOGIN),
    "expired": ("the consumer key has expired", _LOGIN),
}

# Each with the state that it means, the problem and its remedy.
_REFUSALS = {
    "INVALID_KEY": (
        "unknown application",
        "the endpoint does not know the application key",
        "correct application_key, or make an application at this endpoint: {create_app}",
    ),
    "INVALID_SIGNATURE": (
        "wrong secret",
        "OVHcloud finds the signature wrong",
        "correct application_secret; it is the one shown when the application was made",
    ),
    "NOT_CREDENTIAL": (
        "revoked",
        "OVHcloud knows no such consumer key: it was revoked, or is mistyped",
        _LOGIN,
    ),
    "INVALID_CREDENTIAL": (
        "not valid",
        "the consumer key was not validated yet, was refused, or has expired",
        _VALIDATE,
    ),
    "QUERY_TIME_OUT": (
        "unknown",
        "OVHcloud refuses the time that it told us",
        _TRY_AGAIN,
    ),
}

# Narrow first: the state and the remedy of each failure to find out.
_FAILURES: tuple[tuple[type[OvhProxyError], str, str], ...] = (
    (NoCredential, "missing", _LOGIN),
    (CredentialRefused, "refused", "correct client_id and client_secret in the store"),
    (
        ClockUnknown,
        "unknown",
        "is the endpoint an OVHcloud API, such as https://eu.api.ovh.com/1.0?",
    ),
    (UpstreamTls, "unknown", "see this machine's clock and certificates, or set upstream.ca_file"),
    (UpstreamUnreachable, "unknown", "see the endpoint's spelling, the network, DNS and firewall"),
    (UpstreamTimeout, "unknown", "see the network and firewall, then try again"),
    (OvhProxyError, "unknown", _TRY_AGAIN),
)


def judge_key(result: CheckResult, status: int, body: bytes) -> CheckResult:
    """With what the answer to `GET /auth/currentCredential` means."""
    refusal = refusal_of(status, body)
    if refusal == "NOT_GRANTED_CALL":
        return replace(result, state="validated")  # the proof was good; its rules are another's
    if refusal is not None:
        return result.fails(*_REFUSALS[refusal])
    try:
        if status != 200:
            raise ValueError
        state = read_credential_state(body)
    except (ValueError, RecursionError):
        return _unexpected(result, status)
    # OVHcloud writes the zone; without one, datetimes could not be compared.
    ends = state.expiration and state.expiration.replace(tzinfo=state.expiration.tzinfo or UTC)
    known = replace(result, expires=ends or "never", key_rules=state.rules)
    if state.status == "validated":
        return replace(known, state=state.status)
    told = _STATES.get(state.status, (f"the consumer key is {state.status}", _LOGIN))
    return known.fails(state.status, *told)


def judge_token(result: CheckResult, status: int, body: bytes) -> CheckResult:
    """With what the answer to `GET /auth/details`, asked with a token, means."""
    if status == 200:
        return replace(result, state="valid")
    if status in (401, 403):
        return result.fails(
            "refused",
            f"OVHcloud refuses the token ({status}): it is unknown, revoked or has expired",
            "make a new one, and put it into the store",
        )
    return _unexpected(result, status)


def judge_failure(result: CheckResult, failure: OvhProxyError) -> CheckResult:
    """With what it means that something could not be found out."""
    state, remedy = next(told for kind, *told in _FAILURES if isinstance(failure, kind))
    if result.is_reachable is None:
        result = replace(result, is_reachable=not isinstance(failure, UpstreamFailed))
    return result.fails(state, str(failure), remedy)


def _unexpected(result: CheckResult, status: int) -> CheckResult:
    return result.fails("unknown", f"OVHcloud answered {status}, and nothing we know", _TRY_AGAIN)


# A clock this far off is worth a word; calls are signed by OVHcloud's clock all the same.
CLOCK_WARNING_S = 60.0

SOON_S = 7 * 86_400.0


def with_warnings(result: CheckResult, now: datetime, within_s: float | None) -> CheckResult:
    """A finding with what is worth a word.

    Args:
        within_s: a key that ends so soon is a failure; None: it is a warning within a week.
    """
    result = replace(result, warnings=tuple(_warnings(result)))
    expires = result.expires
    if result.problem or not isinstance(expires, datetime):
        return result
    if expires - now > timedelta(seconds=SOON_S if within_s is None else within_s):
        return result
    told = f"the consumer key ends {relative_time(expires, now)}"
    if within_s is None:
        return replace(result, warnings=(told, *result.warnings))
    remedy = "get a new one in time: ovh-proxy login --profile {profile}"
    return result.fails(result.state, told, remedy)


def _warnings(result: CheckResult) -> Iterator[str]:
    delta = result.clock_delta
    if delta is not None and abs(delta) > CLOCK_WARNING_S:
        yield "this machine's clock is wrong; calls are signed by OVHcloud's all the same"
    rules, of_key = result.profile.access_rules, result.key_rules
    wider = wider_rules(rules, of_key) if rules is not None and of_key is not None else ()
    if wider:
        more = f"; and {len(wider) - 3} more" if len(wider) > 3 else ""
        yield (
            f"the store grants what the key does not, and OVHcloud refuses: "
            f"{'; '.join(wider[:3])}{more}"
        )


def open_files(files: Iterable[str]) -> Iterator[str]:
    """Files of secrets that others may read, each with what mends it."""
    for name in files:
        try:
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:  # it is gone since it was read
            continue
        try:
            problem = permission_problem(descriptor, name)
        finally:
            os.close(descriptor)
        if problem:
            yield f"{name}: {problem.partition('  (or allow')[0]}"
