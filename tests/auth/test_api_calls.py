import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.raw_server import OK, RawServer, Side, answering, within
from support.upstream_pool import MakePool

from ovh_proxy.auth.api_calls import ApiCalls, ApiClient, ApiResponse
from ovh_proxy.auth.clock import Clock
from ovh_proxy.auth.signers import UNSIGNED, ApplicationSigner
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import (
    ClockUnknown,
    Draining,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamUnreachable,
)
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Retries, Timeouts, Upstream
from ovh_proxy.ovhcloud.messages import Body, UpstreamRequest
from ovh_proxy.ovhcloud.retry import Attempts
from ovh_proxy.ovhcloud.signature import SignedText
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.upstream.pool import Pool

KEYS = ApplicationCredential(
    Secret(grants.APPLICATION_KEY), Secret(grants.APPLICATION_SECRET), Secret(grants.CONSUMER_KEY)
)
THREE = Retries(attempts=3)


def calls_on(pool: Pool) -> ApiCalls:
    return ApiCalls(pool, jitter=lambda: 0.0)


@pytest_asyncio.fixture
async def calls(pool: Pool) -> ApiCalls:
    """Calls over a pool with default settings and without jitter."""
    return calls_on(pool)


def request_to(url: str, method: str = "GET", text: bytes = b"") -> UpstreamRequest:
    body = Body((text,), len(text), is_declared=bool(text))
    return UpstreamRequest(method, url + "/me", (), body)


async def body_of(response: ApiResponse) -> bytes:
    pieces = []
    while piece := await within(response.incoming.read()):
        pieces.append(piece)
    return b"".join(pieces)


def response_bytes(status: int, body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", b""]) + body


class NumberingSigner:
    """Numbers its signatures, and renews them a given number of times."""

    def __init__(self, renewals: int = 0) -> None:
        self.signed = 0
        self.asked: list[tuple[int, str | None]] = []
        self._renewals = renewals

    def start(self, method: str, url: str) -> None:
        return None

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        self.signed += 1
        return outgoing.with_headers(((b"Proof", b"%d" % self.signed),))

    def is_stale(self, status: int, refusal: str | None) -> bool:
        self.asked.append((status, refusal))
        return True

    async def renew(self) -> bool:
        self._renewals -= 1
        return self._renewals >= 0


def signatures(server: RawServer) -> list[bytes]:
    """The signatures that arrived, in order."""
    return [head.partition(b"Proof: ")[2].partition(b"\r\n")[0] for head in server.heads]


@pytest.mark.asyncio
async def test_a_call_is_sent_once_and_its_response_is_unchanged(
    server: RawServer, calls: ApiCalls
) -> None:
    server.scripts = [answering(response_bytes(500, b"broken", b"x-A: \xff"))]
    attempts = Attempts()

    response = await within(calls.send(request_to(server.url), NumberingSigner(), THREE, attempts))

    assert response.incoming.head.status == 500
    assert response.incoming.head.header(b"x-a") == b"\xff"
    assert response.refusal is None
    assert await body_of(response) == b"broken"
    assert attempts.count == len(server.heads) == 1


# Refused credentials.


REFUSAL = json.dumps({"message": "This credential does not exist"}).encode()
DEFLATED = zlib.compress(REFUSAL)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(response_bytes(403, REFUSAL), "NOT_CREDENTIAL", id="a message"),
        pytest.param(
            response_bytes(401, b'{"errorCode":"INVALID_CREDENTIAL"}'),
            "INVALID_CREDENTIAL",
            id="a code",
        ),
        pytest.param(
            response_bytes(403, gzip.compress(REFUSAL), b"Content-Encoding: gzip"),
            "NOT_CREDENTIAL",
            id="in gzip",
        ),
        pytest.param(
            response_bytes(403, DEFLATED, b"Content-Encoding: deflate"),
            "NOT_CREDENTIAL",
            id="deflated",
        ),
        pytest.param(
            response_bytes(403, b"no gzip", b"Content-Encoding: gzip"),
            None,
            id="no gzip, whatever it says",
        ),
        pytest.param(response_bytes(404, REFUSAL), None, id="another status"),
        pytest.param(response_bytes(403, b"<html>"), None, id="a load balancer"),
        pytest.param(response_bytes(403, b""), None, id="nothing"),
        pytest.param(response_bytes(403, b" " * 300_000 + REFUSAL), None, id="too long to look at"),
    ],
)
async def test_a_refused_credential_is_recognised_and_the_response_stays_complete(
    server: RawServer, calls: ApiCalls, response: bytes, expected: str | None
) -> None:
    server.scripts = [answering(response)]
    signer = NumberingSigner()

    got = await within(calls.send(request_to(server.url), signer, THREE, Attempts()))

    status = got.incoming.head.status
    assert got.refusal == expected
    assert signer.asked == [(status, expected)]
    assert await body_of(got) == response.partition(b"\r\n\r\n")[2]


@pytest.mark.asyncio
async def test_a_stale_signature_is_renewed_once(server: RawServer, calls: ApiCalls) -> None:
    server.scripts = [answering(response_bytes(401, b"{}"))]
    attempts = Attempts()

    response = await within(calls.send(request_to(server.url), NumberingSigner(5), THREE, attempts))

    assert response.incoming.head.status == 401
    assert signatures(server) == [b"1", b"2"]
    assert attempts.count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_any_method_is_sent_again_after_a_stale_signature(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    async def script(side: Side) -> None:
        await side.answer(response_bytes(401, b"{}"))
        await side.answer(OK)
        await side.until_gone()

    server.scripts = [script]
    outgoing = request_to(server.url, method, b"text")

    response = await within(calls.send(outgoing, NumberingSigner(1), THREE, Attempts()))

    assert response.incoming.head.status == 200
    assert server.sides[0].bodies == [b"text", b"text"]


@pytest.mark.asyncio
async def test_an_endless_refusal_is_closed_before_the_next_attempt(
    server: RawServer, make_pool: MakePool
) -> None:
    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 401 X\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 20_000)
        await side.until_gone()

    server.scripts = [endless, answering(OK)]
    calls = calls_on(make_pool(connections=1))

    response = await within(
        calls.send(request_to(server.url), NumberingSigner(1), THREE, Attempts())
    )

    assert response.incoming.head.status == 200
    await server.until(lambda: server.open == 1)


# Failures while sending.


async def dies_on_second(side: Side) -> None:
    """A connection that is reused and closes on its second request."""
    await side.answer(OK)
    await side.request()
    side.end()


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_call_on_a_closed_connection_is_signed_and_sent_again(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [dies_on_second, answering(b"HTTP/1.1 204 X\r\n\r\n")]
    signer, attempts = NumberingSigner(), Attempts()
    await within(calls.send(request_to(server.url), signer, THREE, Attempts()))

    response = await within(calls.send(request_to(server.url, method), signer, THREE, attempts))

    assert response.incoming.head.status == 204
    assert signatures(server) == [b"1", b"2", b"3"]
    assert attempts.count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_unsafe_call_that_may_have_arrived_is_never_sent_twice(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [dies_on_second, answering(OK)]
    await within(calls.send(request_to(server.url), NumberingSigner(), THREE, Attempts()))
    attempts = Attempts()

    with pytest.raises(UpstreamFailed):
        await within(calls.send(request_to(server.url, method), NumberingSigner(), THREE, attempts))

    assert attempts.count == 1
    assert len(server.heads) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_is_not_retried_if_a_new_connection_closes_without_a_response(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [answering(b"", ends=True)]

    with pytest.raises(UpstreamBroken):
        await within(
            calls.send(request_to(server.url, method), NumberingSigner(), THREE, Attempts())
        )

    assert len(server.heads) == 1


@pytest.mark.asyncio
async def test_closed_connections_do_not_count_as_attempts(
    server: RawServer, make_pool: MakePool
) -> None:
    server.scripts = [dies_on_second]
    calls = calls_on(make_pool())
    sending = [
        calls.send(request_to(server.url), NumberingSigner(), THREE, Attempts()) for _ in range(4)
    ]
    await within(asyncio.gather(*sending))  # four idle connections, all of which will close
    attempts = Attempts()

    await within(calls.send(request_to(server.url), NumberingSigner(), THREE, attempts))

    assert (attempts.count, attempts.counted) == (2, 1)


@pytest.mark.asyncio
async def test_an_attempt_after_a_stale_connection_uses_no_idle_one(
    server: RawServer, make_pool: MakePool
) -> None:
    server.scripts = [dies_on_second]
    pool = make_pool()
    await within(calls_on(pool).send(request_to(server.url), NumberingSigner(), THREE, Attempts()))

    class BusySigner(NumberingSigner):
        async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
            signed = await super().sign(outgoing)
            if self.signed == 2:  # another call leaves a connection that will close, too
                await (await pool.send(request_to(server.url))).read_all(99)
            return signed

    attempts = Attempts()
    await within(calls_on(pool).send(request_to(server.url), BusySigner(), THREE, attempts))

    assert attempts.count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", [1, 3])
async def test_any_call_is_retried_if_nothing_arrived(
    calls: ApiCalls, method: str, limit: int
) -> None:
    outgoing = request_to("http://made-up.invalid", method)
    attempts = Attempts()

    with pytest.raises(UpstreamUnreachable):
        await within(calls.send(outgoing, NumberingSigner(), Retries(attempts=limit), attempts))

    assert attempts.count == limit


@pytest.mark.asyncio
async def test_a_call_succeeds_at_a_later_attempt(
    make_pool: MakePool, complaints: list[object]
) -> None:
    server = RawServer()
    async with server:
        pass  # it has a port but no longer listens
    calls = calls_on(make_pool())
    signer = NumberingSigner()
    calling = asyncio.ensure_future(
        calls.send(request_to(server.url, "POST"), signer, Retries(attempts=50), Attempts())
    )
    async with asyncio.timeout(5):
        while signer.signed < 2:  # noqa: ASYNC110 - the call runs in this loop
            await asyncio.sleep(0)

    async with server:
        response = await within(calling)

        assert response.incoming.head.status == 200
        assert len(server.heads) == 1


@pytest.mark.asyncio
async def test_a_body_cut_while_it_is_inspected_fails_the_call(
    server: RawServer, calls: ApiCalls
) -> None:
    cut = b"HTTP/1.1 403 X\r\nContent-Length: 50\r\n\r\n{"
    server.scripts = [answering(cut, ends=True)]

    with pytest.raises(UpstreamBroken):
        await within(calls.send(request_to(server.url), NumberingSigner(), THREE, Attempts()))

    assert len(server.heads) == 1


# Retried statuses.


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "on_status", "expected"),
    [
        pytest.param("GET", {503}, 3, id="safe and asked for"),
        pytest.param("POST", {503}, 1, id="not safe"),
        pytest.param("GET", {429}, 1, id="another status"),
        pytest.param("GET", set(), 1, id="not asked for"),
    ],
)
async def test_a_status_is_retried_if_the_settings_say_so(
    server: RawServer, calls: ApiCalls, method: str, on_status: set[int], expected: int
) -> None:
    # Without the header, each retry would wait for a second.
    server.scripts = [answering(response_bytes(503, b"down", b"Retry-After: 0"))]
    retries = Retries(attempts=3, on_status=frozenset(on_status))
    outgoing = request_to(server.url, method)

    response = await within(
        calls.send(outgoing, NumberingSigner(), retries, Attempts()), seconds=0.9
    )

    assert response.incoming.head.status == 503
    assert await body_of(response) == b"down"
    assert signatures(server) == [b"%d" % number for number in range(1, expected + 1)]


@pytest.mark.asyncio
async def test_a_cancelled_call_between_attempts_holds_no_connection(
    server: RawServer, make_pool: MakePool
) -> None:
    arrived = asyncio.Event()

    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 503 X\r\nRetry-After: 30\r\nContent-Length: 9\r\n\r\n")
        arrived.set()
        await side.until_gone()

    server.scripts = [endless]
    calls = calls_on(make_pool())
    retries = Retries(attempts=3, on_status=frozenset({503}))
    calling = asyncio.ensure_future(
        calls.send(request_to(server.url), NumberingSigner(), retries, Attempts())
    )
    await within(arrived.wait())

    await server.until(lambda: server.open == 0)

    calling.cancel()
    await asyncio.wait([calling])


@pytest.mark.asyncio
async def test_a_call_cancelled_while_its_refusal_is_inspected_closes_its_connection(
    server: RawServer, calls: ApiCalls
) -> None:
    looked_at = asyncio.Event()

    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 403 X\r\nContent-Length: 900\r\n\r\n{")
        for _ in range(4):  # we read the head and wait for the rest
            await asyncio.sleep(0)
        looked_at.set()
        await side.until_gone()

    server.scripts = [endless]
    calling = asyncio.ensure_future(
        calls.send(request_to(server.url), NumberingSigner(), THREE, Attempts())
    )
    await within(looked_at.wait())

    calling.cancel()
    await asyncio.wait([calling])

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_call_cancelled_while_its_signature_is_renewed_closes_its_connection(
    server: RawServer, calls: ApiCalls
) -> None:
    class SlowSigner(NumberingSigner):
        def __init__(self) -> None:
            super().__init__()
            self.is_asked = asyncio.Event()

        async def renew(self) -> bool:
            self.is_asked.set()
            await asyncio.Event().wait()
            return True

    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        await side.until_gone()

    server.scripts = [endless]
    signer = SlowSigner()
    calling = asyncio.ensure_future(calls.send(request_to(server.url), signer, THREE, Attempts()))
    await within(signer.is_asked.wait())

    calling.cancel()
    await asyncio.wait([calling])

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_call_that_cannot_be_signed_is_not_sent(server: RawServer, calls: ApiCalls) -> None:
    class FailingSigner(NumberingSigner):
        async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
            raise ClockUnknown("made up")

    attempts = Attempts()

    with pytest.raises(ClockUnknown):
        await within(calls.send(request_to(server.url), FailingSigner(), THREE, attempts))

    assert server.sides == []
    assert not attempts.is_out


# Against the sandbox, which checks every signature.


@pytest_asyncio.fixture
async def sandbox(complaints: list[object]) -> AsyncIterator[Sandbox]:
    """A sandbox that checks signatures."""
    async with Sandbox() as sandbox:
        yield sandbox


def signed_get(sandbox: Sandbox) -> UpstreamRequest:
    url = sandbox.base_url + "/me"
    return UpstreamRequest("GET", url, signed_text=SignedText(KEYS, "GET", url))


@pytest.mark.asyncio
async def test_each_attempt_is_signed_with_the_current_time(
    sandbox: Sandbox, make_pool: MakePool
) -> None:
    pool = make_pool()
    steady = iter(range(1_000, 2_000, 7))  # the clock advances by seven seconds at each reading
    clock = Clock(pool, Endpoint("sandbox", sandbox.base_url), lambda: float(next(steady)))
    await within(clock.timestamp())  # leaves an idle connection, on which the call is then cut
    sandbox.faults.once("cut=before-head", path="/me")
    sandbox.clock_window = 1e9
    signer = ApplicationSigner(KEYS, clock)

    await within(calls_on(pool).send(signed_get(sandbox), signer, THREE, Attempts()))

    sent = [request for request in sandbox.requests if request.target == b"/1.0/me"]
    times = [int(request.header("X-Ovh-Timestamp") or 0) for request in sent]
    assert [request.verdict for request in sent] == [f"signed by {grants.APPLICATION_KEY}"] * 2
    assert times[1] > times[0]
    assert sent[0].header("X-Ovh-Signature") != sent[1].header("X-Ovh-Signature")
    await clock.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", ["old", "new"])
async def test_a_wrong_clock_is_refreshed_and_the_call_accepted(
    sandbox: Sandbox, make_pool: MakePool, shape: str
) -> None:
    sandbox.error_shape = shape
    pool = make_pool()
    clock = Clock(pool, Endpoint("sandbox", sandbox.base_url))
    await within(clock.timestamp())
    sandbox.clock_offset = -7200.0
    signer, attempts = ApplicationSigner(KEYS, clock), Attempts()

    response = await within(calls_on(pool).send(signed_get(sandbox), signer, THREE, attempts))

    assert response.incoming.head.status == 200
    assert attempts.count == 2
    await clock.close()


@pytest.mark.asyncio
async def test_an_unsigned_call_is_refused_and_not_repeated(
    sandbox: Sandbox, make_pool: MakePool
) -> None:
    calls = calls_on(make_pool())
    outgoing = request_to(sandbox.base_url)

    response = await within(calls.send(outgoing, UNSIGNED, THREE, Attempts()))

    assert response.incoming.head.status in (401, 403)
    assert len(sandbox.requests) == 1


# The client: connections, clocks, tokens and signers together.


@pytest.mark.asyncio
async def test_a_closed_client_has_no_connections(sandbox: Sandbox) -> None:
    profile = Profile("personal", Endpoint("sandbox", sandbox.base_url), KEYS)

    async with ApiClient(Upstream(), Timeouts()) as client:
        status, refusal, body = await within(client.fetch_signed("GET", "/me", profile, Retries()))

    assert (status, refusal, b"nichandle" in body) == (200, None, True)
    with pytest.raises(Draining):
        await within(client.pool.send(request_to(sandbox.base_url)))


@pytest.mark.asyncio
async def test_a_client_retains_what_its_profiles_use() -> None:
    used, unused = (Endpoint(str(port), f"http://127.0.0.1:{port}/1.0") for port in (1, 2))
    async with ApiClient(Upstream(), Timeouts()) as client:
        clocks = [client.clocks.of(endpoint) for endpoint in (used, unused)]

        client.retain([Profile("personal", used, KEYS)])

        assert client.clocks.of(used) is clocks[0]
        assert client.clocks.of(unused) is not clocks[1]
