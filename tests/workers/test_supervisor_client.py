"""The shared cache, over the channels of workers."""

import asyncio

import pytest
import pytest_asyncio
from support.fake_supervisor import BOUND_S, Source

from ovh_proxy.core.errors import ClockUnknown, CredentialRefused, InternalError, UpstreamTls
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import SharedCacheClient

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def join(supervisor):
    """Starts a worker, and returns its cache client."""
    channels = []

    async def join_as(number):
        channel = SupervisorChannel()
        channel.on("lost", lambda: None)
        shared_cache = SharedCacheClient(channel, supervisor.coordinator.shared_cache.cached)
        await supervisor.join(channel, number)
        channels.append(channel)
        return shared_cache

    yield join_as
    for channel in channels:
        channel.close()
    await asyncio.sleep(0)


async def fetch_in_all(supervisor, join, source):
    """Three workers that fetch the clock, the first of them from the source."""
    fetches = []
    for number in (1, 2, 3):
        fetches.append(asyncio.ensure_future((await join(number)).fetch("clock", source)))
        await supervisor.until_received("fetch", number)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.is_called.clear()
    return fetches


async def test_one_worker_fetches_for_all(supervisor, join):
    source = Source()
    fetches = await fetch_in_all(supervisor, join, source)

    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*fetches), BOUND_S)

    assert (answers, source.calls) == ([{"n": 1}] * 3, 1)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ClockUnknown("it did not answer"), ClockUnknown, "it did not answer"),
        (CredentialRefused("no such client"), CredentialRefused, "no such client"),
        (UpstreamTls("not trusted"), UpstreamTls, "not trusted"),
        (ZeroDivisionError("secret"), InternalError, "another worker could not fetch the clock"),
    ],
    ids=["clock", "token", "TLS", "a defect"],
)
async def test_all_waiting_workers_get_the_same_error(supervisor, join, error, kind, text):
    source = Source()
    source.error = error
    fetches = await fetch_in_all(supervisor, join, source)

    source.may_answer.set()
    failures = await asyncio.wait_for(asyncio.gather(*fetches, return_exceptions=True), BOUND_S)

    others = [failure for failure in failures if failure is not error]
    assert source.calls == 1
    assert [(type(one), str(one)) for one in others] == [(kind, text)] * 2


async def test_another_worker_fetches_if_the_first_one_ends(supervisor, join):
    source = Source()
    fetches = await fetch_in_all(supervisor, join, source)

    supervisor.remove_worker(1)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*fetches[1:]), BOUND_S)

    assert (answers, source.calls) == ([{"n": 2}] * 2, 2)


async def test_subscribers_get_the_values_that_other_workers_publish(supervisor, join):
    first, second = await join(1), await join(2)
    taken, done = [], asyncio.Event()
    second.subscribe("clock", lambda value: (taken.append(value), done.set()))
    first.subscribe("clock", lambda value: taken.append("its own"))

    first.publish("clock", {"n": 1})

    await asyncio.wait_for(done.wait(), BOUND_S)
    assert taken == [{"n": 1}]


async def test_a_subscriber_in_a_new_worker_gets_the_cached_value_at_once(supervisor, join):
    (await join(1)).publish("clock", {"n": 1})
    await supervisor.until_received("publish")
    taken = []

    (await join(2)).subscribe("clock", taken.append)

    assert taken == [{"n": 1}]


async def test_a_worker_with_the_last_value_fetches_a_newer_one(supervisor, join):
    source = Source(may_answer=True)
    first, second = await join(1), await join(2)
    await first.fetch("clock", source)
    await supervisor.until_received("fetched")

    newer = await asyncio.wait_for(first.fetch("clock", source), BOUND_S)
    same = await asyncio.wait_for(second.fetch("clock", source), BOUND_S)

    assert newer == {"n": 2}
    assert same["n"] in (2, 3)  # 3 if the second already had 2 before it fetched


async def test_the_turn_of_a_worker_that_no_longer_waits_goes_to_the_next(supervisor, join):
    source = Source()
    fetches = await fetch_in_all(supervisor, join, source)
    fetches[1].cancel()
    await asyncio.wait([fetches[1]])

    supervisor.remove_worker(1)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.may_answer.set()

    assert await asyncio.wait_for(fetches[2], BOUND_S) == {"n": 2}


async def test_a_cancelled_fetch_leaves_no_worker_waiting(supervisor, join):
    source = Source()
    fetches = await fetch_in_all(supervisor, join, source)

    fetches[0].cancel()

    failures = await asyncio.wait_for(asyncio.gather(*fetches[1:], return_exceptions=True), BOUND_S)
    assert [type(failure) for failure in failures] == [InternalError, InternalError]


async def test_without_replies_from_the_supervisor_each_worker_fetches_itself(supervisor, join):
    source = Source(may_answer=True)
    supervisor.ignores_messages = True
    channel = SupervisorChannel()
    await supervisor.join(channel, 1)
    shared_cache = SharedCacheClient(channel, {}, patience_s=0.01)

    found = await asyncio.wait_for(shared_cache.fetch("clock", source), BOUND_S)

    channel.close()
    assert (found, source.calls) == ({"n": 1}, 1)


async def test_a_second_fetch_before_the_version_arrives_gets_a_newer_value(join):
    source = Source(may_answer=True)
    shared_cache = await join(1)
    first = await shared_cache.fetch("token", source)

    # The version of the first value has not arrived yet.
    second = await asyncio.wait_for(shared_cache.fetch("token", source), BOUND_S)

    assert (first, second) == ({"n": 1}, {"n": 2})
