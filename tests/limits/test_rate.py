"""Requests per minute: which requests wait, in which order, and which are rejected."""

import asyncio
import hashlib

import pytest

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.settings import Client, Limits
from ovh_proxy.limits.rate import LocalRateLimiter

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Twenty per second: a waiting request is served after 1/20 s.
QUICK = 1200


async def fill(rate_limiter: LocalRateLimiter, key: str, per_minute: int) -> None:
    """Fills an empty bucket with a minute's worth of requests."""
    for _ in range(per_minute):
        await rate_limiter.wait(key, per_minute)


@pytest.mark.asyncio
async def test_requests_without_a_rate_do_not_wait():
    rate_limiter = LocalRateLimiter(max_wait_s=0)

    await asyncio.wait_for(
        asyncio.gather(*(rate_limiter.wait("profile a", None) for _ in range(999))), 5
    )


@pytest.mark.asyncio
async def test_a_minutes_worth_of_requests_may_come_at_once():
    rate_limiter = LocalRateLimiter(max_wait_s=0)

    await fill(rate_limiter, "profile a", 60)


@pytest.mark.asyncio
@pytest.mark.parametrize(("per_minute", "retry_after"), [(1, 60), (7, 9), (60, 1), (600, 1)])
async def test_a_rejected_request_gets_the_time_of_the_next_slot(per_minute, retry_after):
    rate_limiter = LocalRateLimiter(max_wait_s=0)
    await fill(rate_limiter, "profile a", per_minute)

    async def ask_ten_times() -> None:
        for _ in range(10):  # a fast bucket leaks some in that time
            await rate_limiter.wait("profile a", per_minute)

    with pytest.raises(Overloaded) as caught:
        await ask_ten_times()

    assert str(caught.value) == f"profile a makes more than {per_minute} requests per minute"
    assert caught.value.headers == ((b"Retry-After", b"%d" % retry_after),)


@pytest.mark.asyncio
async def test_each_profile_and_each_client_has_its_own_bucket():
    rate_limiter = LocalRateLimiter(max_wait_s=0)
    await fill(rate_limiter, "profile a", 2)

    await fill(rate_limiter, "profile b", 2)
    await fill(rate_limiter, "client a", 2)

    with pytest.raises(Overloaded):
        await rate_limiter.wait("profile a", 2)


@pytest.mark.asyncio
async def test_waiting_requests_are_served_in_order():
    rate_limiter, served = LocalRateLimiter(max_wait_s=5), []
    await fill(rate_limiter, "profile a", QUICK)

    async def caller(number: int) -> None:
        await rate_limiter.wait("profile a", QUICK)
        served.append(number)

    await asyncio.gather(*(caller(number) for number in range(6)))

    assert served == list(range(6))


@pytest.mark.asyncio
async def test_a_new_request_does_not_overtake_waiting_ones():
    rate_limiter, served = LocalRateLimiter(max_wait_s=5), []
    await fill(rate_limiter, "profile a", QUICK)

    async def caller(name: str) -> None:
        await rate_limiter.wait("profile a", QUICK)
        served.append(name)

    waiting = [asyncio.ensure_future(caller(f"waiting {i}")) for i in range(2)]
    await asyncio.sleep(0)
    block_until(asyncio.get_running_loop().time() + 0.2)  # slots are free, but no task ran yet

    await caller("newcomer")

    await asyncio.gather(*waiting)
    assert served == ["waiting 0", "waiting 1", "newcomer"]


def block_until(deadline: float) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < deadline:
        pass


@pytest.mark.asyncio
async def test_a_canceled_request_frees_its_slot_for_the_next():
    rate_limiter = LocalRateLimiter(max_wait_s=5)
    await fill(rate_limiter, "profile a", QUICK)
    loop = asyncio.get_running_loop()
    began = loop.time()
    leaving = [asyncio.ensure_future(rate_limiter.wait("profile a", QUICK)) for _ in range(20)]
    staying = asyncio.ensure_future(rate_limiter.wait("profile a", QUICK))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()

    await asyncio.wait_for(staying, 5)

    assert loop.time() - began < 0.5  # behind the twenty others it would take a second


@pytest.mark.asyncio
async def test_an_unchanged_rate_keeps_its_bucket_and_a_changed_one_gets_a_new_bucket():
    rate_limiter = LocalRateLimiter(max_wait_s=0)
    await fill(rate_limiter, "profile a", 2)

    await fill(rate_limiter, "profile a", 3)

    with pytest.raises(Overloaded):
        await rate_limiter.wait("profile a", 2)


@pytest.mark.asyncio
async def test_a_call_above_the_rate_of_the_profile_waits(start, upstream):
    proxy_server = await start(limits=Limits(requests_per_minute=QUICK))
    conversation = await proxy_server.connect()
    conversation.send(GET * (QUICK + 3))

    answers = [await conversation.answer() for _ in range(QUICK + 3)]

    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) == QUICK + 3


def client(name: str, per_minute: int | None) -> Client:
    """A client whose token is its name."""
    return Client(name, hashlib.sha256(name.encode()).digest(), requests_per_minute=per_minute)


def ask_as(name: str) -> bytes:
    return GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer %s\r\n\r\n" % name.encode())


@pytest.mark.asyncio
async def test_a_waiting_client_does_not_block_other_clients(start, upstream):
    proxy_server = await start(clients=(client("slow", 1), client("free", None)))
    await proxy_server.ask(ask_as("slow"))
    waiting = await proxy_server.connect()
    waiting.send(ask_as("slow"))

    answers = [await proxy_server.ask(ask_as("free")) for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len(upstream.requests) == 4


@pytest.mark.asyncio
async def test_a_client_that_disconnects_while_it_waits_is_not_served(start, upstream):
    proxy_server = await start(clients=(client("slow", 1), client("free", None)))
    await proxy_server.ask(ask_as("slow"))
    waiting = await proxy_server.connect()
    waiting.send(ask_as("slow"))
    await proxy_server.ask(ask_as("free"))

    waiting.abort()

    assert (await proxy_server.until_logged(3))[-1]["status"] == 499
    assert len(upstream.requests) == 2
