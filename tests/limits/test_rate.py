"""Requests per minute: who waits, in which order, and who is told to come back."""

import asyncio
import hashlib

import pytest

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.settings import Client, Limits
from ovh_proxy.limits.rate import LocalRateLimiter

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Twenty a second: those who wait are served after a twentieth of one.
QUICK = 1200


async def fill(rate_limiter: LocalRateLimiter, whose: str, per_minute: int) -> None:
    """Takes the whole minute at once, as a bucket that is empty lets one."""
    for _ in range(per_minute):
        await rate_limiter.wait(whose, per_minute)


@pytest.mark.asyncio
async def test_without_a_rate_nobody_waits():
    rate_limiter = LocalRateLimiter(patience_s=0)

    await asyncio.wait_for(
        asyncio.gather(*(rate_limiter.wait("profile a", None) for _ in range(999))), 5
    )


@pytest.mark.asyncio
async def test_a_whole_minute_may_come_at_once():
    rate_limiter = LocalRateLimiter(patience_s=0)

    await fill(rate_limiter, "profile a", 60)


@pytest.mark.asyncio
@pytest.mark.parametrize(("per_minute", "retry_after"), [(1, 60), (7, 9), (60, 1), (600, 1)])
async def test_who_finds_no_place_is_told_when_there_is_one(per_minute, retry_after):
    rate_limiter = LocalRateLimiter(patience_s=0)
    await fill(rate_limiter, "profile a", per_minute)

    async def ask_ten_times() -> None:
        for _ in range(10):  # the fast ones leak a place meanwhile
            await rate_limiter.wait("profile a", per_minute)

    with pytest.raises(Overloaded) as caught:
        await ask_ten_times()

    assert str(caught.value) == f"profile a makes more than {per_minute} requests per minute"
    assert caught.value.headers == ((b"Retry-After", b"%d" % retry_after),)


@pytest.mark.asyncio
async def test_each_profile_and_each_client_has_a_minute_of_its_own():
    rate_limiter = LocalRateLimiter(patience_s=0)
    await fill(rate_limiter, "profile a", 2)

    await fill(rate_limiter, "profile b", 2)
    await fill(rate_limiter, "client a", 2)

    with pytest.raises(Overloaded):
        await rate_limiter.wait("profile a", 2)


@pytest.mark.asyncio
async def test_those_who_wait_are_served_in_their_order():
    rate_limiter, served = LocalRateLimiter(patience_s=5), []
    await fill(rate_limiter, "profile a", QUICK)

    async def caller(number: int) -> None:
        await rate_limiter.wait("profile a", QUICK)
        served.append(number)

    await asyncio.gather(*(caller(number) for number in range(6)))

    assert served == list(range(6))


@pytest.mark.asyncio
async def test_a_newcomer_does_not_overtake_those_who_wait():
    rate_limiter, served = LocalRateLimiter(patience_s=5), []
    await fill(rate_limiter, "profile a", QUICK)

    async def caller(name: str) -> None:
        await rate_limiter.wait("profile a", QUICK)
        served.append(name)

    waiting = [asyncio.ensure_future(caller(f"waiting {i}")) for i in range(2)]
    await asyncio.sleep(0)
    block_until(asyncio.get_running_loop().time() + 0.2)  # places came, and nobody was woken yet

    await caller("newcomer")

    await asyncio.gather(*waiting)
    assert served == ["waiting 0", "waiting 1", "newcomer"]


def block_until(moment: float) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < moment:
        pass


@pytest.mark.asyncio
async def test_who_gives_up_leaves_the_place_to_the_next():
    rate_limiter = LocalRateLimiter(patience_s=5)
    await fill(rate_limiter, "profile a", QUICK)
    loop = asyncio.get_running_loop()
    began = loop.time()
    leaving = [asyncio.ensure_future(rate_limiter.wait("profile a", QUICK)) for _ in range(20)]
    staying = asyncio.ensure_future(rate_limiter.wait("profile a", QUICK))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()

    await asyncio.wait_for(staying, 5)

    assert loop.time() - began < 0.5  # twenty before it would have taken a second


@pytest.mark.asyncio
async def test_one_bucket_serves_a_rate_that_stays_and_a_new_one_a_rate_that_changes():
    rate_limiter = LocalRateLimiter(patience_s=0)
    await fill(rate_limiter, "profile a", 2)

    await fill(rate_limiter, "profile a", 3)

    with pytest.raises(Overloaded):
        await rate_limiter.wait("profile a", 2)


@pytest.mark.asyncio
async def test_a_call_beyond_the_profile_s_rate_waits_in_turn(start, upstream):
    front = await start(limits=Limits(requests_per_minute=QUICK))
    conversation = await front.connect()
    conversation.send(GET * (QUICK + 3))

    answers = [await conversation.answer() for _ in range(QUICK + 3)]

    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) == QUICK + 3


def client(name: str, per_minute: int | None) -> Client:
    """One whose token is its name."""
    return Client(name, hashlib.sha256(name.encode()).digest(), requests_per_minute=per_minute)


def ask_as(name: str) -> bytes:
    return GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer %s\r\n\r\n" % name.encode())


@pytest.mark.asyncio
async def test_a_client_that_waits_does_not_hold_up_the_others(start, upstream):
    front = await start(clients=(client("slow", 1), client("free", None)))
    await front.ask(ask_as("slow"))
    waiting = await front.connect()
    waiting.send(ask_as("slow"))

    answers = [await front.ask(ask_as("free")) for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len(upstream.requests) == 4


@pytest.mark.asyncio
async def test_a_client_that_waits_and_leaves_is_not_served(start, upstream):
    front = await start(clients=(client("slow", 1), client("free", None)))
    await front.ask(ask_as("slow"))
    waiting = await front.connect()
    waiting.send(ask_as("slow"))
    await front.ask(ask_as("free"))

    waiting.abort()

    assert (await front.until_logged(3))[-1]["status"] == 499
    assert len(upstream.requests) == 2
