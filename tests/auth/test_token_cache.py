import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from support.raw_server import RawServer, Side, within

from ovh_proxy.auth.token_cache import CachedToken, TokenCache
from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.errors import CredentialRefused, UpstreamTimeout
from ovh_proxy.core.secret import Secret
from ovh_proxy.upstream.pool import Pool


@dataclass
class Issuer:
    """A token endpoint that issues `token-1`, `token-2`, …; `gate` delays its responses."""

    response: bytes | None = None
    lifetime: float | None = 3600
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, side: Side) -> None:
        while True:
            await side.request()
            self.asked += 1
            fields: dict[str, Any] = {"access_token": f"token-{self.asked}"}
            if self.lifetime is not None:
                fields["expires_in"] = self.lifetime
            self.arrived.set()
            await self.gate.wait()
            await side.send(response_bytes(200, fields) if self.response is None else self.response)


def response_bytes(status: int, fields: Any) -> bytes:
    body = json.dumps(fields).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Now:
    """A clock that only the test advances."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest_asyncio.fixture
async def issuer(server: RawServer) -> Issuer:
    """The token endpoint; it responds immediately."""
    issuer = Issuer()
    issuer.gate.set()
    server.scripts = [issuer]
    return issuer


@pytest.fixture
def account(server: RawServer) -> ServiceAccount:
    return ServiceAccount("EU.made-up", Secret("S3cr3t/+ é"), server.url + "/auth/oauth2/token")


@pytest_asyncio.fixture
async def cached(pool: Pool, account: ServiceAccount, issuer: Issuer, now: Now):
    """A token that has not been fetched yet."""
    cached = CachedToken(pool, account, now)
    yield cached
    await cached.close()


@pytest.mark.asyncio
async def test_a_token_is_requested_once_and_cached(cached: CachedToken, issuer: Issuer) -> None:
    tokens = [await within(cached.token()) for _ in range(3)]

    assert tokens == [Secret("token-1")] * 3
    assert cached.last == Secret("token-1")
    assert issuer.asked == 1


@pytest.mark.asyncio
async def test_a_token_is_requested_like_the_sdks_do(
    cached: CachedToken, server: RawServer, issuer: Issuer
) -> None:
    await within(cached.token())

    assert server.heads[0].startswith(b"POST /auth/oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:")
    assert (
        b"\r\nAuthorization: Basic RVUubWFkZS11cDpTM2NyM3QlMkYlMkIrJUMzJUE5\r\n" in server.heads[0]
    )
    assert server.sides[0].bodies == [b"grant_type=client_credentials&scope=all"]


@pytest.mark.asyncio
async def test_there_is_no_token_before_the_first_request(cached: CachedToken) -> None:
    assert cached.last is None


@pytest.mark.asyncio
async def test_concurrent_callers_share_one_token_request(
    cached: CachedToken, issuer: Issuer
) -> None:
    tokens = await within(asyncio.gather(*(cached.token() for _ in range(10))))

    assert tokens == [Secret("token-1")] * 10
    assert issuer.asked == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(3589, "token-1", id="eleven seconds before it expires"),
        pytest.param(3590, "token-2", id="ten seconds before it expires"),
        pytest.param(9999, "token-2", id="after it expired"),
    ],
)
async def test_a_token_is_renewed_before_it_expires(
    cached: CachedToken, now: Now, issuer: Issuer, seconds: int, expected: str
) -> None:
    await within(cached.token())
    now.seconds += seconds

    token = await within(cached.token())

    assert token == Secret(expected)


@pytest.mark.asyncio
async def test_the_lifetime_counts_from_the_request(
    cached: CachedToken, now: Now, issuer: Issuer
) -> None:
    issuer.gate.clear()
    asking = asyncio.ensure_future(cached.token())
    await within(issuer.arrived.wait())
    now.seconds += 3590
    issuer.gate.set()
    await within(asking)

    token = await within(cached.token())

    assert token == Secret("token-2")


@pytest.mark.asyncio
@pytest.mark.parametrize("lifetime", [None, 0, 5, -1], ids=["none", "no time", "short", "ended"])
async def test_a_token_valid_for_less_than_ten_seconds_is_used_once(
    cached: CachedToken, issuer: Issuer, lifetime: float | None
) -> None:
    issuer.lifetime = lifetime

    tokens = [await within(cached.token()) for _ in range(2)]

    assert tokens == [Secret("token-1"), Secret("token-2")]


@pytest.mark.asyncio
async def test_a_refused_token_is_dropped(cached: CachedToken, issuer: Issuer) -> None:
    refused = await within(cached.token())

    cached.forget(refused)

    assert cached.last is None
    assert await within(cached.token()) == Secret("token-2")


@pytest.mark.asyncio
async def test_a_newer_token_stays_when_an_older_one_is_refused(
    cached: CachedToken, issuer: Issuer
) -> None:
    older = await within(cached.token())
    cached.forget(older)
    await within(cached.token())

    cached.forget(older)

    assert await within(cached.token()) == Secret("token-2")
    assert issuer.asked == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("response", "text"),
    [
        pytest.param(
            response_bytes(
                400, {"error": "invalid_client", "error_description": "client secret invalid"}
            ),
            "the token endpoint answered 400: invalid_client - client secret invalid",
            id="a reason",
        ),
        pytest.param(response_bytes(500, {}), "answered 500: without a reason", id="no reason"),
        pytest.param(
            response_bytes(200, {"token": "x"}), "answered 200: without a reason", id="no token"
        ),
        pytest.param(response_bytes(200, [1]), "answered 200 and no JSON", id="no object"),
        pytest.param(
            b"HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>",
            "answered 502 and no JSON",
            id="a load balancer",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000,
            "answered 200 and no JSON",
            id="without end",
        ),
    ],
)
async def test_a_refusal_of_the_token_endpoint_is_reported_with_its_reason(
    cached: CachedToken, issuer: Issuer, response: bytes, text: str
) -> None:
    issuer.response = response

    with pytest.raises(CredentialRefused) as refused:
        await within(cached.token())

    assert text in str(refused.value)
    assert "S3cr3t" not in str(refused.value)


@pytest.mark.asyncio
async def test_after_a_refusal_a_token_is_requested_again(
    cached: CachedToken, issuer: Issuer
) -> None:
    issuer.response = response_bytes(400, {"error": "invalid_client"})
    with pytest.raises(CredentialRefused):
        await within(cached.token())
    issuer.response = None

    token = await within(cached.token())

    assert token == Secret("token-2")


@pytest.mark.asyncio
async def test_half_a_response_leaves_no_connection(
    make_pool, account: ServiceAccount, server: RawServer
) -> None:
    async def half(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
        await side.until_gone()

    server.scripts = [half]
    cached = CachedToken(make_pool(idle_s=0.05), account)

    with pytest.raises(UpstreamTimeout):
        await within(cached.token())

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_cancelled_request_closes_its_connection(
    cached: CachedToken, server: RawServer
) -> None:
    arrived = asyncio.Event()

    async def half(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
        for _ in range(3):  # we read the head and wait for the rest
            await asyncio.sleep(0)
        arrived.set()
        await side.until_gone()

    server.scripts = [half]
    asking = asyncio.ensure_future(cached.token())
    await within(arrived.wait())

    await cached.close()
    await within(asyncio.wait([asking]))

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_an_account_has_one_token_across_reloads(pool: Pool, account: ServiceAccount) -> None:
    cache = TokenCache(pool)
    same = ServiceAccount("EU.made-up", Secret("S3cr3t/+ é"), account.token_url)
    other = ServiceAccount("EU.made-up", Secret("changed"), account.token_url)

    cached = cache.of(account)

    assert cache.of(same) is cached
    assert cache.of(other) is not cached
    await cache.close()
