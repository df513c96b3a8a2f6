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
    """Calls over a pool with the default settings, their waits as short as may be."""
    return calls_on(pool)


def request_to(url: str, method: str = "GET", text: bytes = b"") -> UpstreamRequest:
    body = Body((text,), len(text), is_declared=bool(text))
    return UpstreamRequest(method, url + "/me", (), body)


async def body_of(answer: ApiResponse) -> bytes:
    pieces = []
    while piece := await within(answer.incoming.read()):
        pieces.append(piece)
    return b"".join(pieces)


def said(status: int, body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", b""]) + body


class Proof:
    """A signer that numbers its proofs, and renews them as often as it is told."""

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


def proofs(server: RawServer) -> list[bytes]:
    """The proofs that arrived, in order."""
    return [head.partition(b"Proof: ")[2].partition(b"\r\n")[0] for head in server.heads]


@pytest.mark.asyncio
async def test_a_call_is_sent_once_and_its_answer_passes_untouched(
    server: RawServer, calls: ApiCalls
) -> None:
    server.scripts = [answering(said(500, b"broken", b"x-A: \xff"))]
    attempts = Attempts()

    answer = await within(calls.send(request_to(server.url), Proof(), THREE, attempts))

    assert answer.incoming.head.status == 500
    assert answer.incoming.head.header(b"x-a") == b"\xff"
    assert answer.refusal is None
    assert await body_of(answer) == b"broken"
    assert attempts.count == len(server.heads) == 1


# What OVHcloud refuses.


REFUSAL = json.dumps({"message": "This credential does not exist"}).encode()
DEFLATED = zlib.compress(REFUSAL)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(said(403, REFUSAL), "NOT_CREDENTIAL", id="a message"),
        pytest.param(
            said(401, b'{"errorCode":"INVALID_CREDENTIAL"}'), "INVALID_CREDENTIAL", id="a code"
        ),
        pytest.param(
            said(403, gzip.compress(REFUSAL), b"Content-Encoding: gzip"),
            "NOT_CREDENTIAL",
            id="in gzip",
        ),
        pytest.param(
            said(403, DEFLATED, b"Content-Encoding: deflate"), "NOT_CREDENTIAL", id="deflated"
        ),
        pytest.param(
            said(403, b"no gzip", b"Content-Encoding: gzip"), None, id="no gzip, whatever it says"
        ),
        pytest.param(said(404, REFUSAL), None, id="another status"),
        pytest.param(said(403, b"<html>"), None, id="a load balancer"),
        pytest.param(said(403, b""), None, id="nothing"),
        pytest.param(said(403, b" " * 300_000 + REFUSAL), None, id="too long to look at"),
    ],
)
async def test_a_refused_credential_is_recognised_and_the_answer_passes_whole(
    server: RawServer, calls: ApiCalls, answer: bytes, expected: str | None
) -> None:
    server.scripts = [answering(answer)]
    proof = Proof()

    got = await within(calls.send(request_to(server.url), proof, THREE, Attempts()))

    status = got.incoming.head.status
    assert got.refusal == expected
    assert proof.asked == [(status, expected)]
    assert await body_of(got) == answer.partition(b"\r\n\r\n")[2]


@pytest.mark.asyncio
async def test_a_stale_proof_is_renewed_once_and_the_call_signed_anew(
    server: RawServer, calls: ApiCalls
) -> None:
    server.scripts = [answering(said(401, b"{}"))]
    attempts = Attempts()

    answer = await within(calls.send(request_to(server.url), Proof(5), THREE, attempts))

    assert answer.incoming.head.status == 401
    assert proofs(server) == [b"1", b"2"]
    assert attempts.count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_any_method_may_be_sent_again_after_a_refusal(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    async def script(side: Side) -> None:
        await side.answer(said(401, b"{}"))
        await side.answer(OK)
        await side.until_gone()

    server.scripts = [script]
    outgoing = request_to(server.url, method, b"text")

    answer = await within(calls.send(outgoing, Proof(1), THREE, Attempts()))

    assert answer.incoming.head.status == 200
    assert server.sides[0].bodies == [b"text", b"text"]


@pytest.mark.asyncio
async def test_a_refused_answer_without_end_is_closed_before_the_next_attempt(
    server: RawServer, make_pool: MakePool
) -> None:
    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 401 X\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 20_000)
        await side.until_gone()

    server.scripts = [endless, answering(OK)]
    calls = calls_on(make_pool(connections=1))

    answer = await within(calls.send(request_to(server.url), Proof(1), THREE, Attempts()))

    assert answer.incoming.head.status == 200
    await server.until(lambda: server.open == 1)


# What fails on the way.


async def dies_on_second(side: Side) -> None:
    """A connection that is kept, and closes on its second request."""
    await side.answer(OK)
    await side.request()
    side.end()


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_call_on_a_stale_connection_is_sent_again_signed_anew(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [dies_on_second, answering(b"HTTP/1.1 204 X\r\n\r\n")]
    proof, attempts = Proof(), Attempts()
    await within(calls.send(request_to(server.url), proof, THREE, Attempts()))

    answer = await within(calls.send(request_to(server.url, method), proof, THREE, attempts))

    assert answer.incoming.head.status == 204
    assert proofs(server) == [b"1", b"2", b"3"]
    assert attempts.count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_call_that_may_have_arrived_and_is_not_safe_is_never_sent_twice(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [dies_on_second, answering(OK)]
    await within(calls.send(request_to(server.url), Proof(), THREE, Attempts()))
    attempts = Attempts()

    with pytest.raises(UpstreamFailed):
        await within(calls.send(request_to(server.url, method), Proof(), THREE, attempts))

    assert attempts.count == 1
    assert len(server.heads) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_new_connection_that_closes_without_an_answer_is_not_tried_again(
    server: RawServer, calls: ApiCalls, method: str
) -> None:
    server.scripts = [answering(b"", ends=True)]

    with pytest.raises(UpstreamBroken):
        await within(calls.send(request_to(server.url, method), Proof(), THREE, Attempts()))

    assert len(server.heads) == 1


@pytest.mark.asyncio
async def test_stale_connections_are_tried_no_more_often_than_the_attempts(
    server: RawServer, make_pool: MakePool
) -> None:
    server.scripts = [dies_on_second]
    calls = calls_on(make_pool())
    sending = [calls.send(request_to(server.url), Proof(), THREE, Attempts()) for _ in range(4)]
    await within(asyncio.gather(*sending))  # four kept connections, all of which will close
    attempts = Attempts()

    with pytest.raises(UpstreamFailed):
        await within(calls.send(request_to(server.url), Proof(), THREE, attempts))

    assert attempts.count == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", [1, 3])
async def test_where_nothing_arrived_any_call_is_tried_as_often_as_it_may(
    calls: ApiCalls, method: str, limit: int
) -> None:
    outgoing = request_to("http://made-up.invalid", method)
    attempts = Attempts()

    with pytest.raises(UpstreamUnreachable):
        await within(calls.send(outgoing, Proof(), Retries(attempts=limit), attempts))

    assert attempts.count == limit


@pytest.mark.asyncio
async def test_a_call_that_reaches_the_upstream_at_a_later_attempt_is_answered(
    make_pool: MakePool, complaints: list[object]
) -> None:
    server = RawServer()
    async with server:
        pass  # it has a port, and no longer listens
    calls = calls_on(make_pool())
    proof = Proof()
    calling = asyncio.ensure_future(
        calls.send(request_to(server.url, "POST"), proof, Retries(attempts=50), Attempts())
    )
    async with asyncio.timeout(5):
        while proof.signed < 2:  # noqa: ASYNC110 - the call is under way in this loop
            await asyncio.sleep(0)

    async with server:
        answer = await within(calling)

        assert answer.incoming.head.status == 200
        assert len(server.heads) == 1


@pytest.mark.asyncio
async def test_a_body_cut_while_it_is_looked_at_fails_the_call(
    server: RawServer, calls: ApiCalls
) -> None:
    cut = b"HTTP/1.1 403 X\r\nContent-Length: 50\r\n\r\n{"
    server.scripts = [answering(cut, ends=True)]

    with pytest.raises(UpstreamBroken):
        await within(calls.send(request_to(server.url), Proof(), THREE, Attempts()))

    assert len(server.heads) == 1


# Answers that are waited out.


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
async def test_a_status_is_tried_again_where_the_settings_say_so(
    server: RawServer, calls: ApiCalls, method: str, on_status: set[int], expected: int
) -> None:
    # Without the header it would wait for a second each time.
    server.scripts = [answering(said(503, b"down", b"Retry-After: 0"))]
    retries = Retries(attempts=3, on_status=frozenset(on_status))
    outgoing = request_to(server.url, method)

    answer = await within(calls.send(outgoing, Proof(), retries, Attempts()), seconds=0.9)

    assert answer.incoming.head.status == 503
    assert await body_of(answer) == b"down"
    assert proofs(server) == [b"%d" % number for number in range(1, expected + 1)]


@pytest.mark.asyncio
async def test_a_call_given_up_while_it_waits_for_its_next_attempt_holds_no_connection(
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
        calls.send(request_to(server.url), Proof(), retries, Attempts())
    )
    await within(arrived.wait())

    await server.until(lambda: server.open == 0)

    calling.cancel()
    await asyncio.wait([calling])


@pytest.mark.asyncio
async def test_a_call_given_up_while_its_refusal_is_looked_at_closes_its_connection(
    server: RawServer, calls: ApiCalls
) -> None:
    looked_at = asyncio.Event()

    async def endless(side: Side) -> None:
        await side.answer(b"HTTP/1.1 403 X\r\nContent-Length: 900\r\n\r\n{")
        for _ in range(4):  # our end reads the head, and waits for the rest
            await asyncio.sleep(0)
        looked_at.set()
        await side.until_gone()

    server.scripts = [endless]
    calling = asyncio.ensure_future(calls.send(request_to(server.url), Proof(), THREE, Attempts()))
    await within(looked_at.wait())

    calling.cancel()
    await asyncio.wait([calling])

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_a_call_given_up_while_its_proof_is_renewed_closes_its_connection(
    server: RawServer, calls: ApiCalls
) -> None:
    class Slow(Proof):
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
    proof = Slow()
    calling = asyncio.ensure_future(calls.send(request_to(server.url), proof, THREE, Attempts()))
    await within(proof.is_asked.wait())

    calling.cancel()
    await asyncio.wait([calling])

    await server.until(lambda: server.open == 0)


@pytest.mark.asyncio
async def test_without_a_proof_nothing_is_sent(server: RawServer, calls: ApiCalls) -> None:
    class Unknown(Proof):
        async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
            raise ClockUnknown("made up")

    attempts = Attempts()

    with pytest.raises(ClockUnknown):
        await within(calls.send(request_to(server.url), Unknown(), THREE, attempts))

    assert server.sides == []
    assert not attempts.is_out


# Against the sandbox, which checks every signature.


@pytest_asyncio.fixture
async def sandbox(complaints: list[object]) -> AsyncIterator[Sandbox]:
    """OVHcloud, as far as signatures go."""
    async with Sandbox() as sandbox:
        yield sandbox


def signed_get(sandbox: Sandbox) -> UpstreamRequest:
    url = sandbox.base_url + "/me"
    return UpstreamRequest("GET", url, signed_text=SignedText(KEYS, "GET", url))


@pytest.mark.asyncio
async def test_each_attempt_is_signed_with_the_time_it_is_made_at(
    sandbox: Sandbox, make_pool: MakePool
) -> None:
    pool = make_pool()
    steady = iter(range(1_000, 2_000, 7))  # seven seconds pass between two looks at it
    clock = Clock(pool, Endpoint("sandbox", sandbox.base_url), lambda: float(next(steady)))
    await within(clock.timestamp())  # leaves a connection behind, on which the call is then cut
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
async def test_a_clock_that_was_off_is_asked_again_and_the_call_accepted(
    sandbox: Sandbox, make_pool: MakePool, shape: str
) -> None:
    sandbox.error_shape = shape
    pool = make_pool()
    clock = Clock(pool, Endpoint("sandbox", sandbox.base_url))
    await within(clock.timestamp())
    sandbox.clock_offset = -7200.0
    signer, attempts = ApplicationSigner(KEYS, clock), Attempts()

    answer = await within(calls_on(pool).send(signed_get(sandbox), signer, THREE, attempts))

    assert answer.incoming.head.status == 200
    assert attempts.count == 2
    await clock.close()


@pytest.mark.asyncio
async def test_an_unsigned_call_is_refused_and_not_repeated(
    sandbox: Sandbox, make_pool: MakePool
) -> None:
    calls = calls_on(make_pool())
    outgoing = request_to(sandbox.base_url)

    answer = await within(calls.send(outgoing, UNSIGNED, THREE, Attempts()))

    assert answer.incoming.head.status in (401, 403)
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
