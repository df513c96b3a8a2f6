"""States of credentials: polled, updated by calls, and dropped."""

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
import pytest_asyncio

from ovh_proxy.auth.api_calls import ApiClient
from ovh_proxy.auth.consumer_keys import CredentialPoller
from ovh_proxy.auth.credential_states import CredentialStates, CredentialStatus
from ovh_proxy.core.credentials import AccessToken, ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Retries, Timeouts, Upstream
from ovh_proxy.ovhcloud.auth_api import CredentialState
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

KEYS = ApplicationCredential(
    Secret(grants.APPLICATION_KEY), Secret(grants.APPLICATION_SECRET), Secret(grants.CONSUMER_KEY)
)
PROFILE = Profile("personal", parse_endpoint("ovh-eu"), KEYS)
NOW = 1_700_000_000.0


class Now:
    """A clock that only the test advances."""

    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


@pytest.fixture
def now():
    """The wall clock of the states."""
    return Now()


@pytest.fixture
def steady():
    """The steady clock of the states."""
    return Now()


@pytest.fixture
def states(now, steady):
    """States that are all unknown."""
    return CredentialStates(now, steady=steady)


@pytest_asyncio.fixture
async def parts(states, steady):
    """A sandbox, a profile for it, a client and a poller."""
    client = ApiClient(Upstream(), Timeouts(), states=states)
    async with Sandbox() as sandbox, client:
        yield SimpleNamespace(
            sandbox=sandbox,
            profile=replace(PROFILE, endpoint=parse_endpoint(sandbox.base_url)),
            client=client,
            poller=CredentialPoller(client, steady=steady),
        )


async def call(parts):
    status, _, _ = await parts.client.fetch_signed("GET", "/me", parts.profile, Retries())
    return status


def test_the_initial_state_is_unknown(states):
    keyless = replace(PROFILE, name="new", credential=replace(KEYS, consumer_key=None))

    assert [states.of(one).state for one in (PROFILE, keyless)] == ["unknown", "no consumer key"]


@pytest.mark.parametrize(
    ("status", "refusal", "before", "after"),
    [
        (200, None, "unknown", "valid"),
        (404, None, "unknown", "unknown"),
        (500, None, "valid", "valid"),
        (200, None, "refused", "valid"),
        (403, "NOT_GRANTED_CALL", "unknown", "valid"),
        (403, "NOT_CREDENTIAL", "valid", "refused"),
        (403, "INVALID_KEY", "valid", "refused"),
        (400, "INVALID_SIGNATURE", "valid", "refused"),
        (403, "INVALID_CREDENTIAL", "valid", "refused"),
        (403, "INVALID_CREDENTIAL", "pending", "pending"),
        (403, "NOT_CREDENTIAL", "pending", "refused"),
        (400, "QUERY_TIME_OUT", "valid", "valid"),
    ],
)
def test_a_response_to_a_call_updates_the_state(status, refusal, before, after):
    known = CredentialStatus(before)

    known.record(status, refusal)

    assert known.state == after


def test_a_key_is_expired_from_its_expiration_on(now):
    known = CredentialStatus(now=now)
    ends = "2023-11-14T22:13:30+00:00"  # ten seconds later
    known.learn(CredentialState("validated", datetime.fromisoformat(ends), ()))
    before = known.state
    now.at += 10

    assert (before, known.state, known.expires) == ("valid", "expired", NOW + 10)


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        ("validated", "valid"),
        ("pendingValidation", "pending"),
        ("refused", "refused"),
        ("expired", "expired"),
        ("somethingNew", "unknown"),
    ],
)
def test_the_state_at_ovhcloud_is_mapped(reported, state):
    known = CredentialStatus()

    known.learn(CredentialState(reported, None, ()))

    assert known.state == state


@pytest.mark.asyncio
async def test_a_poll_is_signed_with_the_key(parts, states):
    parts.sandbox.grants.expire_at(grants.CONSUMER_KEY, 2_000_000_000.0)

    await parts.poller.poll(parts.profile)

    known, request = states.of(parts.profile), parts.sandbox.requests[-1]
    assert (known.state, known.expires, known.is_endless) == ("valid", 2_000_000_000.0, False)
    assert request.target == b"/1.0/auth/currentCredential"
    assert request.verdict == f"signed by {grants.APPLICATION_KEY}"


@pytest.mark.asyncio
async def test_a_refused_poll_updates_the_state(parts, states):
    parts.sandbox.grants.set_state(grants.CONSUMER_KEY, "refused")

    await parts.poller.poll(parts.profile)

    assert states.of(parts.profile).state == "refused"


@pytest.mark.asyncio
async def test_a_key_that_never_expires_differs_from_one_with_unknown_expiry(parts, states):
    await parts.poller.poll(parts.profile)

    known = states.of(parts.profile)
    assert (known.state, known.expires, known.is_endless) == ("valid", None, True)


@pytest.mark.asyncio
async def test_a_revoked_key_is_refused_until_a_call_succeeds(parts, states):
    key = parts.sandbox.grants.consumer_keys[grants.CONSUMER_KEY]
    seen = []

    for change in (
        lambda: None,
        lambda: parts.sandbox.grants.revoke(grants.CONSUMER_KEY),
        lambda: parts.sandbox.grants.consumer_keys.update({grants.CONSUMER_KEY: key}),
    ):
        change()
        seen.append((await call(parts), states.of(parts.profile).state))

    assert seen == [(200, "valid"), (403, "refused"), (200, "valid")]


@pytest.mark.asyncio
@pytest.mark.parametrize("is_down", [True, False], ids=["unreachable", "500"])
async def test_a_failed_poll_keeps_the_state_and_is_repeated_after_a_minute(
    parts, states, steady, is_down
):
    await parts.poller.poll(parts.profile)
    if is_down:
        await parts.sandbox.stop()
    else:
        parts.sandbox.faults.always("status=500")

    steady.at += 3600
    await parts.poller.poll(parts.profile)

    assert states.of(parts.profile).state == "valid"
    steady.at += 59
    assert states.due([parts.profile]) == []
    steady.at += 1
    assert states.due([parts.profile]) == [parts.profile]


@pytest.mark.asyncio
async def test_keys_are_polled_at_start_hourly_and_a_minute_after_a_refusal(parts, states, steady):
    at_start = states.due([parts.profile])
    await parts.poller.poll(parts.profile)
    dues = []

    for seconds in (3599, 1):
        steady.at += seconds
        dues.append(bool(states.due([parts.profile])))
    await parts.poller.poll(parts.profile)
    states.of(parts.profile).record(403, "NOT_CREDENTIAL")
    for seconds in (59, 1):
        steady.at += seconds
        dues.append(bool(states.due([parts.profile])))

    assert at_start == [parts.profile]
    assert dues == [False, True, False, True]


@pytest.mark.asyncio
@pytest.mark.parametrize("years", [10, -10], ids=["ahead", "back"])
async def test_a_step_of_the_wall_clock_delays_no_poll(parts, states, now, steady, years):
    await parts.poller.poll(parts.profile)
    states.of(parts.profile).record(403, "NOT_CREDENTIAL")
    now.at += years * 365 * 86_400

    dues = []
    for seconds in (59, 1):
        steady.at += seconds
        dues.append(bool(states.due([parts.profile])))
    await parts.poller.poll(parts.profile)
    for seconds in (3599, 1):
        steady.at += seconds
        dues.append(bool(states.due([parts.profile])))

    assert dues == [False, True, False, True]


def test_only_consumer_keys_are_polled(states):
    token = replace(PROFILE, credential=AccessToken(Secret("T")))
    keyless = replace(PROFILE, name="new", credential=replace(KEYS, consumer_key=None))

    assert states.due([token, keyless]) == []


def test_an_unchanged_credential_keeps_its_state_and_a_changed_one_does_not(states):
    other = replace(PROFILE, name="other")
    for profile in (PROFILE, other):
        states.of(profile).record(200, None)
    same = replace(PROFILE, credential=replace(KEYS), access_rules=())
    changed = replace(other, credential=replace(KEYS, consumer_key=Secret("another")))

    states.retain([same, changed])

    assert [states.of(one).state for one in (same, changed)] == ["valid", "unknown"]


def test_the_state_of_a_removed_profile_is_dropped(states):
    states.of(PROFILE).record(200, None)

    states.retain([])

    assert states.of(PROFILE).state == "unknown"
