"""OVHcloud's responses about a consumer key and the resulting errors."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from support.raw_server import RawServer, Side, within

from ovh_proxy.auth.consumer_keys import ConsumerKeys
from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Timeouts, Upstream

SECRETS = ("MadeUpAppKey", "MadeUpAppSecret", "MadeUpConsumerKey")
RULES = parse_access_rule("GET /me")
# Upstream text that must not appear in our errors.
HUSH = "hush hush"


@pytest_asyncio.fixture
async def consumer_keys() -> AsyncIterator[ConsumerKeys]:
    """Consumer keys at the upstream."""
    async with ConsumerKeys(Upstream(), Timeouts()) as made:
        yield made


@pytest.fixture
def profile(server: RawServer) -> Profile:
    """A profile with made-up keys."""
    keys = ApplicationCredential(*map(Secret, SECRETS))
    return Profile("personal", parse_endpoint(f"{server.url}/1.0"), keys)


def respond_with(server: RawServer, status: int, body: object) -> None:
    """Makes the upstream return the time, and this response to everything else."""
    text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(text))

    async def script(side: Side) -> None:
        while True:
            is_clock = b" /1.0/auth/time " in await side.request()
            now = b"%d" % time.time()
            reported = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(now), now)
            await side.send(reported if is_clock else head + text)

    server.scripts = [script]


def refusal(code: str) -> dict[str, str]:
    return {"errorCode": code, "message": HUSH}


Asks = Callable[[ConsumerKeys, Profile], Awaitable[object]]


async def request_key(consumer_keys: ConsumerKeys, profile: Profile) -> object:
    return await consumer_keys.request(profile, RULES, None, ())


async def look_up(consumer_keys: ConsumerKeys, profile: Profile) -> object:
    return await consumer_keys.look(profile)


async def log_out(consumer_keys: ConsumerKeys, profile: Profile) -> object:
    return await consumer_keys.revoke(profile)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("code", "status", "state"),
    [
        ("INVALID_CREDENTIAL", 403, "pendingValidation"),
        ("NOT_CREDENTIAL", 403, "gone"),
        ("NOT_GRANTED_CALL", 403, "validated"),
    ],
)
async def test_a_refusal_reveals_the_state_of_a_key(
    server: RawServer,
    consumer_keys: ConsumerKeys,
    profile: Profile,
    code: str,
    status: int,
    state: str,
) -> None:
    respond_with(server, status, refusal(code))

    seen = await within(consumer_keys.look(profile))

    assert seen.status == state


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "body", "was_there"),
    [
        (200, "null", True),
        (204, "", True),
        (403, refusal("NOT_CREDENTIAL"), False),
        (403, refusal("INVALID_CREDENTIAL"), False),
    ],
    ids=["revoked", "revoked without a body", "unknown", "invalid"],
)
async def test_a_logout_returns_whether_the_key_existed(
    server: RawServer,
    consumer_keys: ConsumerKeys,
    profile: Profile,
    status: int,
    body: object,
    was_there: bool,
) -> None:
    respond_with(server, status, body)

    assert await within(consumer_keys.revoke(profile)) is was_there


@pytest.mark.asyncio
async def test_a_key_that_may_not_revoke_itself_is_reported(
    server: RawServer, consumer_keys: ConsumerKeys, profile: Profile
) -> None:
    respond_with(server, 403, refusal("NOT_GRANTED_CALL"))

    with pytest.raises(CommandFailed, match=r"personal may not revoke itself: .*Control Panel"):
        await within(consumer_keys.revoke(profile))


@pytest.mark.asyncio
@pytest.mark.parametrize("body", ["", "[]", "{}", "no JSON", "[" * 100_000], ids=lambda b: b[:9])
async def test_a_response_without_a_key_blames_the_endpoint(
    server: RawServer, consumer_keys: ConsumerKeys, profile: Profile, body: str
) -> None:
    respond_with(server, 200, body)

    with pytest.raises(CommandFailed, match="no consumer key; check that the endpoint of"):
        await within(request_key(consumer_keys, profile))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asks", "status", "body", "reported"),
    [
        (
            request_key,
            400,
            refusal("INVALID_RULE"),
            "a consumer key .*INVALID_RULE.*the requested rules",
        ),
        (request_key, 500, HUSH, r"a consumer key .*\(500\); try again"),
        (look_up, 200, "no JSON", r"the state of the key .*\(200\); try again"),
        (look_up, 503, refusal(HUSH), r"the state of the key .*\(503\); try again"),
        (log_out, 500, refusal("OOPS_1"), r"the logout .*\(OOPS_1\); try again"),
    ],
    ids=["rules", "down", "no state", "a code of two words", "a code of its own"],
)
async def test_a_refusal_is_reported_by_its_code_without_upstream_text(
    server: RawServer,
    consumer_keys: ConsumerKeys,
    profile: Profile,
    asks: Asks,
    status,
    body,
    reported: str,
) -> None:
    respond_with(server, status, body)

    with pytest.raises(CommandFailed, match=f"OVHcloud refuses {reported}") as caught:
        await within(asks(consumer_keys, profile))

    assert [word for word in (HUSH, *SECRETS) if word in str(caught.value)] == []


@pytest.mark.asyncio
async def test_an_unknown_application_does_not_mean_that_the_key_is_gone(
    server: RawServer, consumer_keys: ConsumerKeys, profile: Profile
) -> None:
    respond_with(server, 403, refusal("INVALID_KEY"))

    with pytest.raises(CommandFailed, match="INVALID_KEY"):
        await within(consumer_keys.look(profile))
