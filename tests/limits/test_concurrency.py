"""How much is served at once, and that all of it is given back."""

import asyncio
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Client, Limits, Listener, Profile, TcpAddress, Timeouts
from ovh_proxy.limits.concurrency import ConcurrencyLimiter, ConnectionLimit
from ovh_proxy.limits.rate import LocalRateLimiter

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ADMIN = TcpAddress("127.0.0.1", 0)


def put(size: int, *, sent: int | None = None) -> bytes:
    head = b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size
    return head + b"x" * (size if sent is None else sent)


@pytest.fixture
def held(upstream):
    """Delays every response until the event is set."""
    may_answer = asyncio.Event()

    async def answering(_, side) -> None:
        await may_answer.wait()
        await side.write(OK)

    upstream.answering = answering
    return may_answer


# -- the limiter by itself


def test_requests_above_the_limit_are_rejected():
    limiter, limits = ConcurrencyLimiter(), Limits(in_flight=2)

    with limiter.enter(limits), limiter.enter(limits):
        inside = limiter.in_flight
        with pytest.raises(Overloaded, match=r"2 are in flight \(limits.in_flight\)"):
            limiter.enter(limits).__enter__()

    assert (inside, limiter.in_flight) == (2, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.integers(0, 60)),
        st.tuples(st.just("release"), st.integers(0, 5)),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_the_limits_hold_and_everything_is_released_whatever_the_order(steps):
    limiter, limits = ConcurrencyLimiter(), Limits(in_flight=3, memory_bodies_bytes=100)
    inside = []
    for step, amount in steps:
        one = inside[amount % len(inside)] if inside else None
        try:
            if step == "enter":
                block = limiter.enter(limits)
                inside.append((block, block.__enter__()))
            elif one is None:
                continue
            elif step == "leave":
                inside.remove(one)
                one[0].__exit__(None, None, None)
            elif step == "take":
                one[1].take(amount, limits)
            else:
                one[1].release()
        except Overloaded:
            pass
        assert limiter.in_flight == len(inside) <= 3
        assert 0 <= limiter.body_bytes <= 100

    for block, _ in inside:
        block.__exit__(None, None, None)

    assert (limiter.in_flight, limiter.body_bytes) == (0, 0)


@pytest.mark.parametrize("wrong", [ValueError, asyncio.CancelledError])
def test_a_request_that_fails_releases_everything(wrong):
    limiter, limits = ConcurrencyLimiter(), Limits()

    def fail() -> None:
        with limiter.enter(limits) as permit:
            permit.take(10, limits)
            raise wrong

    with pytest.raises(wrong):
        fail()

    assert (limiter.in_flight, limiter.body_bytes) == (0, 0)


PROFILE = Profile(
    "personal",
    parse_endpoint("ovh-eu"),
    ApplicationCredential(Secret("k"), Secret("s"), Secret("c")),
)
CI = Client("ci", hashlib.sha256(b"ci").digest(), requests_per_minute=2)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("client", "per_minute", "limited"),
    [
        (None, 1, "profile personal"),
        (CI, 1, "profile personal"),
        (CI, None, "client ci"),
        (CI, 9, "client ci"),
    ],
    ids=["profile", "both, the profile first", "client", "both, the client first"],
)
async def test_profile_and_client_rates_both_apply(client, per_minute, limited):
    limiter, limits = (
        ConcurrencyLimiter(LocalRateLimiter(max_wait_s=0)),
        Limits(requests_per_minute=per_minute),
    )

    async def ask_ten_times() -> None:
        for _ in range(10):
            await limiter.wait_for_rate(PROFILE, client, limits)

    with pytest.raises(Overloaded, match=f"^{limited} makes more than"):
        await ask_ten_times()


@pytest.mark.asyncio
async def test_requests_without_rates_do_not_wait():
    limiter = ConcurrencyLimiter(LocalRateLimiter(max_wait_s=0))

    for _ in range(100):
        await limiter.wait_for_rate(PROFILE, replace(CI, requests_per_minute=None), Limits())


@pytest.mark.parametrize(("count", "expected"), [(0, False), (2, False), (3, True)])
def test_the_connection_limit_is_exceeded_by_one_too_many(count, expected):
    connection_limit = ConnectionLimit(2)

    connection_limit.count = count

    assert connection_limit.is_exceeded == expected


# -- the limiter in the server


@pytest.mark.asyncio
async def test_a_request_above_the_limit_is_rejected_at_once_and_the_next_is_served(
    start, upstream, held
):
    proxy_server = await start(limits=Limits(in_flight=2))
    inside = [await proxy_server.connect() for _ in range(2)]
    for conversation in inside:
        conversation.send(GET)
    await upstream.until(lambda: len(upstream.requests) == 2)

    refusal = await proxy_server.ask(GET)
    own = await proxy_server.ask(HEALTH)
    held.set()
    served = [await conversation.answer() for conversation in inside]
    following = await proxy_server.ask(GET)

    assert (refusal.status, refusal.code, refusal.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert "limits.in_flight" in refusal.json["message"]
    assert own.status == 200
    assert [answer.status for answer in (*served, following)] == [200] * 3
    assert len(upstream.requests) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["leaves", "upstream fails", "body too slow"])
async def test_a_request_that_fails_frees_its_slot(start, upstream, way):
    proxy_server = await start(
        limits=Limits(in_flight=1, memory_bodies_bytes=100), timeouts=Timeouts(body_s=0.1)
    )
    conversation = await proxy_server.connect()
    if way == "body too slow":
        conversation.send(put(90, sent=80))
        await conversation.answer()
    elif way == "upstream fails":
        upstream.answers(ends=True)
        conversation.send(put(90))
        await conversation.answer()
    else:
        upstream.answering = _never
        conversation.send(GET)
        await upstream.until(lambda: len(upstream.requests) == 1)
        conversation.abort()
        await proxy_server.until_logged()
    upstream.answers(OK)

    answer = await proxy_server.ask(put(100))

    assert answer.status == 200


async def _never(_, side) -> None:
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_bodies_above_the_total_memory_are_rejected_and_the_memory_is_released(
    start, upstream, held
):
    proxy_server = await start(limits=Limits(memory_bodies_bytes=1000))
    first = await proxy_server.connect()
    first.send(put(900))
    await upstream.until(lambda: len(upstream.requests) == 1)

    refusal = await proxy_server.ask(put(101))
    small = await proxy_server.connect()
    small.send(put(100))
    await upstream.until(lambda: len(upstream.requests) == 2)
    held.set()
    served = [await conversation.answer() for conversation in (first, small)]
    following = await proxy_server.ask(put(1000))

    assert (refusal.status, refusal.code, refusal.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert "limits.memory_bodies_bytes" in refusal.json["message"]
    assert [answer.status for answer in (*served, following)] == [200] * 3
    assert len(upstream.requests) == 3


@pytest.mark.asyncio
async def test_a_body_on_disk_uses_no_memory(start, upstream, held):
    proxy_server = await start(limits=Limits(memory_body_bytes=500, memory_bodies_bytes=500))
    large = await proxy_server.connect()
    large.send(put(5000))
    await upstream.until(lambda: len(upstream.requests) == 1)

    conversation = await proxy_server.connect()
    conversation.send(put(500))
    await upstream.until(lambda: len(upstream.requests) == 2)
    held.set()
    answers = [await one.answer() for one in (large, conversation)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [len(request.body) for request in upstream.requests] == [5000, 500]


@pytest.mark.asyncio
async def test_the_memory_of_a_body_is_free_once_the_response_starts(start, upstream):
    # The response takes long; the request body is no longer needed.
    may_end = asyncio.Event()

    async def answering(_, side) -> None:
        await side.write(OK[:-1])
        await may_end.wait()
        await side.write(OK[-1:])

    upstream.answering = answering
    proxy_server = await start(limits=Limits(memory_bodies_bytes=1000))
    first = await proxy_server.connect()
    first.send(put(1000))
    await first.reader.readuntil(b"\r\n\r\n")
    second = await proxy_server.connect()

    second.send(put(1000))
    await upstream.until(lambda: len(upstream.requests) == 2)

    may_end.set()
    assert (await second.answer()).body == b"ok"


# -- connections


@pytest.mark.asyncio
async def test_a_connection_above_the_limit_is_rejected_at_once_and_the_next_is_served(
    start, upstream
):
    proxy_server = await start(limits=Limits(connections=2), admin_listen=ADMIN)
    open_ones = [await proxy_server.connect() for _ in range(2)]
    for conversation in open_ones:
        conversation.send(GET)
        await conversation.answer()
    refused = await proxy_server.connect()

    refusal = await refused.answer()  # before the client sent anything
    ended = await refused.ends_cleanly()
    admin = await proxy_server.ask(HEALTH, 1)
    await open_ones[0].close()
    later = await first_accepted(proxy_server)

    assert (refusal.status, refusal.code, refusal.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert "limits.connections" in refusal.json["message"]
    assert ended
    assert (admin.status, later.status) == (200, 200)
    assert len(upstream.requests) == 3


async def first_accepted(proxy_server):
    """Returns the response on the first connection that is not rejected."""
    for _ in range(100):
        answer = await proxy_server.ask(GET)
        if answer.status != 503:
            return answer
    raise AssertionError("no connection was accepted")


@pytest.mark.asyncio
async def test_rejected_connections_do_not_count_however_long_they_stay_open(start, upstream):
    proxy_server = await start(limits=Limits(connections=1))
    open_ones = await proxy_server.connect()
    open_ones.send(GET)
    await open_ones.answer()
    staying = [await proxy_server.connect() for _ in range(5)]
    for conversation in staying:
        await conversation.answer()  # and does not hang up
    await open_ones.close()

    answer = await first_accepted(proxy_server)

    assert answer.status == 200


@pytest.mark.asyncio
async def test_connections_of_users_that_are_not_allowed_do_not_count(
    start, upstream, unix_listener
):
    strangers = Listener(unix_listener.address, uids=frozenset({54_321}))
    proxy_server = await start(listen=(Listener(ADMIN), strangers), limits=Limits(connections=1))
    refused = [await proxy_server.connect(1) for _ in range(3)]
    for conversation in refused:
        await conversation.answer()

    answer = await proxy_server.ask(GET)

    assert answer.status == 200


@pytest.mark.asyncio
async def test_connections_are_counted_over_all_listeners(start, unix_listener):
    proxy_server = await start(
        listen=(Listener(ADMIN), unix_listener), limits=Limits(connections=1)
    )
    open_ones = await proxy_server.connect()
    open_ones.send(GET)
    await open_ones.answer()

    answer = await proxy_server.ask(GET, 1)

    assert answer.status == 503
