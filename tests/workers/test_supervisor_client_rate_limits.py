"""Requests per minute of several workers."""

import asyncio
import time

import pytest
import pytest_asyncio
from support.team import Office

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import SharedRateLimiter

pytestmark = pytest.mark.asyncio

WHOSE = "client ci"


@pytest_asyncio.fixture
async def office():
    """A supervisor's desk for two workers."""
    office = Office(2)
    yield office
    office.close()
    await asyncio.sleep(0)


@pytest_asyncio.fixture
async def links(office):
    """The channels of two workers."""
    links = [SupervisorChannel(), SupervisorChannel()]
    for number, link in enumerate(links, start=1):
        link.on("lost", lambda: None)
        await office.join(link, number)
    yield links
    for link in links:
        link.close()
    await asyncio.sleep(0)


@pytest.fixture
def rate_limiters(links):
    """What each of them waits by."""
    return [SharedRateLimiter(link, patience_s=0.15) for link in links]


async def test_the_minute_is_one_for_all_workers(rate_limiters):
    first, second = rate_limiters
    await first.wait(WHOSE, 2)
    await second.wait(WHOSE, 2)

    with pytest.raises(Overloaded, match="client ci makes more than 2 requests") as refused:
        await first.wait(WHOSE, 2)

    assert refused.value.retry_after == 30


async def test_a_short_wait_is_waited(office, rate_limiters):
    place = {"is": "place", "number": 0, "whose": WHOSE, "per_minute": 600, "patience_s": 0.0}
    for _ in range(600):
        list(office.coordinator.take(office.worker_table.workers[0], place, time.monotonic()))
    began = asyncio.get_running_loop().time()

    await rate_limiters[1].wait(WHOSE, 600)

    assert asyncio.get_running_loop().time() - began > 0.05


async def test_no_rate_asks_nobody(rate_limiters, office):
    await rate_limiters[0].wait(WHOSE, None)

    assert office.heard == []


async def test_whoever_leaves_while_it_waits_gives_its_place_back(office, links):
    first, second = (SharedRateLimiter(link, patience_s=61.0) for link in links)
    await first.wait(WHOSE, 1)
    waiting = asyncio.ensure_future(second.wait(WHOSE, 1))
    await office.until_heard("place", 2)

    # The answer is on its way, and the wait of a minute begins before this one is answered.
    await links[1].ask("place", whose="another", per_minute=1, patience_s=1.0)
    waiting.cancel()
    await office.until_heard("give_back")

    told = await links[0].ask("place", whose=WHOSE, per_minute=1, patience_s=61.0)
    assert told["wait"] == pytest.approx(60, abs=5)


async def test_a_supervisor_that_does_not_answer_is_overload(office):
    office.is_silent = True
    link = SupervisorChannel(answer_s=0.01)
    link.on("lost", lambda: None)
    await office.join(link, 1)

    with pytest.raises(Overloaded, match="supervisor"):
        await SharedRateLimiter(link).wait(WHOSE, 2)

    link.close()
