"""Rate limits across several workers."""

import asyncio
import time

import pytest
import pytest_asyncio

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import SharedRateLimiter

pytestmark = pytest.mark.asyncio

BUCKET = "client ci"


@pytest_asyncio.fixture
async def channels(supervisor):
    """The channels of two workers."""
    channels = [SupervisorChannel(), SupervisorChannel()]
    for number, channel in enumerate(channels, start=1):
        channel.on("lost", lambda: None)
        await supervisor.join(channel, number)
    yield channels
    for channel in channels:
        channel.close()
    await asyncio.sleep(0)


@pytest.fixture
def rate_limiters(channels):
    """The rate limiter of each worker."""
    return [SharedRateLimiter(channel, patience_s=0.15) for channel in channels]


async def test_the_rate_applies_to_all_workers_together(rate_limiters):
    first, second = rate_limiters
    await first.wait(BUCKET, 2)
    await second.wait(BUCKET, 2)

    with pytest.raises(Overloaded, match="client ci makes more than 2 requests") as refused:
        await first.wait(BUCKET, 2)

    assert refused.value.retry_after == 30


async def test_a_request_over_the_rate_waits(supervisor, rate_limiters):
    acquire = {
        "type": "acquire",
        "request_id": 0,
        "bucket": BUCKET,
        "per_minute": 600,
        "patience_s": 0.0,
    }
    for _ in range(600):
        list(
            supervisor.coordinator.handle(
                supervisor.worker_table.workers[0], acquire, time.monotonic()
            )
        )
    began = asyncio.get_running_loop().time()

    await rate_limiters[1].wait(BUCKET, 600)

    assert asyncio.get_running_loop().time() - began > 0.05


async def test_without_a_rate_nothing_is_sent(rate_limiters, supervisor):
    await rate_limiters[0].wait(BUCKET, None)

    assert supervisor.received == []


async def test_a_cancelled_wait_releases_its_slot(supervisor, channels):
    first, second = (SharedRateLimiter(channel, patience_s=61.0) for channel in channels)
    await first.wait(BUCKET, 1)
    waiting = asyncio.ensure_future(second.wait(BUCKET, 1))
    await supervisor.until_received("acquire", 2)

    # Replies are ordered: once this one is here, the other worker is waiting its minute.
    await channels[1].request("acquire", bucket="another", per_minute=1, patience_s=1.0)
    waiting.cancel()
    await supervisor.until_received("release")

    reply = await channels[0].request("acquire", bucket=BUCKET, per_minute=1, patience_s=61.0)
    assert reply["wait_s"] == pytest.approx(60, abs=5)


async def test_a_supervisor_that_does_not_reply_means_overloaded(supervisor):
    supervisor.ignores_messages = True
    channel = SupervisorChannel(reply_timeout_s=0.01)
    channel.on("lost", lambda: None)
    await supervisor.join(channel, 1)

    with pytest.raises(Overloaded, match="supervisor"):
        await SharedRateLimiter(channel).wait(BUCKET, 2)

    channel.close()
