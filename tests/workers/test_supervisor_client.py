"""What workers find out for each other, over their channels."""

import asyncio

import pytest
import pytest_asyncio
from support.team import BOUND_S, FakeSupervisor, Source

from ovh_proxy.core.errors import ClockUnknown, CredentialRefused, InternalError, UpstreamTls
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import SharedCacheClient

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def supervisor():
    """A supervisor's desk."""
    supervisor = FakeSupervisor(3)
    yield supervisor
    supervisor.close()
    await asyncio.sleep(0)


@pytest_asyncio.fixture
async def join(supervisor):
    """Lets a worker begin; gives what it shares in."""
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


async def asked_by_all(supervisor, join, source):
    """Three workers that ask, the first of them at the source."""
    asking = []
    for number in (1, 2, 3):
        asking.append(asyncio.ensure_future((await join(number)).fetch("clock", source)))
        await supervisor.until_received("fetch", number)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.is_called.clear()
    return asking


async def test_one_worker_asks_for_all(supervisor, join):
    source = Source()
    asking = await asked_by_all(supervisor, join, source)

    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*asking), BOUND_S)

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
async def test_a_failure_is_everybodys_in_the_same_words(supervisor, join, error, kind, text):
    source = Source()
    source.error = error
    asking = await asked_by_all(supervisor, join, source)

    source.may_answer.set()
    failures = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), BOUND_S)

    others = [failure for failure in failures if failure is not error]
    assert source.calls == 1
    assert [(type(one), str(one)) for one in others] == [(kind, text)] * 2


async def test_another_worker_asks_where_the_first_one_ends(supervisor, join):
    source = Source()
    asking = await asked_by_all(supervisor, join, source)

    supervisor.remove_worker(1)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*asking[1:]), BOUND_S)

    assert (answers, source.calls) == ([{"n": 2}] * 2, 2)


async def test_whoever_follows_is_told_of_what_the_others_find(supervisor, join):
    first, second = await join(1), await join(2)
    taken, told = [], asyncio.Event()
    second.subscribe("clock", lambda value: (taken.append(value), told.set()))
    first.subscribe("clock", lambda value: taken.append("its own"))

    first.publish("clock", {"n": 1})

    await asyncio.wait_for(told.wait(), BOUND_S)
    assert taken == [{"n": 1}]


async def test_one_that_begins_later_knows_at_once(supervisor, join):
    (await join(1)).publish("clock", {"n": 1})
    await supervisor.until_received("publish")
    taken = []

    (await join(2)).subscribe("clock", taken.append)

    assert taken == [{"n": 1}]


async def test_whoever_has_the_last_value_gets_a_newer_one(supervisor, join):
    source = Source(may_answer=True)
    first, second = await join(1), await join(2)
    await first.fetch("clock", source)
    await supervisor.until_received("fetched")

    newer = await asyncio.wait_for(first.fetch("clock", source), BOUND_S)
    same = await asyncio.wait_for(second.fetch("clock", source), BOUND_S)

    assert newer == {"n": 2}
    assert same["n"] in (2, 3)  # 3 where the second was told of 2 before it asked


async def test_a_turn_of_somebody_who_waits_no_longer_goes_to_the_next(supervisor, join):
    source = Source()
    asking = await asked_by_all(supervisor, join, source)
    asking[1].cancel()
    await asyncio.wait([asking[1]])

    supervisor.remove_worker(1)
    await asyncio.wait_for(source.is_called.wait(), BOUND_S)
    source.may_answer.set()

    assert await asyncio.wait_for(asking[2], BOUND_S) == {"n": 2}


async def test_an_asker_that_is_stopped_leaves_nobody_waiting(supervisor, join):
    source = Source()
    asking = await asked_by_all(supervisor, join, source)

    asking[0].cancel()

    failures = await asyncio.wait_for(asyncio.gather(*asking[1:], return_exceptions=True), BOUND_S)
    assert [type(failure) for failure in failures] == [InternalError, InternalError]


async def test_with_a_supervisor_that_does_not_answer_each_asks_by_itself(supervisor, join):
    source = Source(may_answer=True)
    supervisor.ignores_messages = True
    channel = SupervisorChannel()
    await supervisor.join(channel, 1)
    shared_cache = SharedCacheClient(channel, {}, patience_s=0.01)

    found = await asyncio.wait_for(shared_cache.fetch("clock", source), BOUND_S)

    channel.close()
    assert (found, source.calls) == ({"n": 1}, 1)


async def test_what_is_found_wrong_at_once_is_asked_for_anew_at_once(join):
    source = Source(may_answer=True)
    shared_cache = await join(1)
    first = await shared_cache.fetch("token", source)

    # The version of the first one is still on its way back.
    second = await asyncio.wait_for(shared_cache.fetch("token", source), BOUND_S)

    assert (first, second) == ({"n": 1}, {"n": 2})
