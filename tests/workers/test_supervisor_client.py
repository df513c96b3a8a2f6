"""What workers find out for each other, over their channels."""

import asyncio

import pytest
import pytest_asyncio
from support.team import BOUND_S, Office, Source

from ovh_proxy.core.errors import ClockUnknown, CredentialRefused, InternalError, UpstreamTls
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import SharedCacheClient

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def office():
    """A supervisor's desk."""
    office = Office(3)
    yield office
    office.close()
    await asyncio.sleep(0)


@pytest_asyncio.fixture
async def join(office):
    """Lets a worker begin; gives what it shares in."""
    links = []

    async def joining(number):
        link = SupervisorChannel()
        link.on("lost", lambda: None)
        shared_cache = SharedCacheClient(link, office.coordinator.shared_cache.known)
        await office.join(link, number)
        links.append(link)
        return shared_cache

    yield joining
    for link in links:
        link.close()
    await asyncio.sleep(0)


async def asked_by_all(office, join, source):
    """Three workers that ask, the first of them at the source."""
    asking = []
    for number in (1, 2, 3):
        asking.append(asyncio.ensure_future((await join(number)).fetch("clock", source)))
        await office.until_heard("want", number)
    await asyncio.wait_for(source.is_asked.wait(), BOUND_S)
    source.is_asked.clear()
    return asking


async def test_one_worker_asks_for_all(office, join):
    source = Source()
    asking = await asked_by_all(office, join, source)

    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*asking), BOUND_S)

    assert (answers, source.asked) == ([{"n": 1}] * 3, 1)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ClockUnknown("it did not answer"), ClockUnknown, "it did not answer"),
        (CredentialRefused("no such client"), CredentialRefused, "no such client"),
        (UpstreamTls("not trusted"), UpstreamTls, "not trusted"),
        (ZeroDivisionError("secret"), InternalError, "another worker could not find out"),
    ],
    ids=["clock", "token", "TLS", "a defect"],
)
async def test_a_failure_is_everybodys_in_the_same_words(office, join, error, kind, text):
    source = Source()
    source.error = error
    asking = await asked_by_all(office, join, source)

    source.may_answer.set()
    failures = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), BOUND_S)

    others = [failure for failure in failures if failure is not error]
    assert source.asked == 1
    assert [(type(one), str(one)) for one in others] == [(kind, text)] * 2


async def test_another_worker_asks_where_the_first_one_ends(office, join):
    source = Source()
    asking = await asked_by_all(office, join, source)

    office.leave(1)
    await asyncio.wait_for(source.is_asked.wait(), BOUND_S)
    source.may_answer.set()
    answers = await asyncio.wait_for(asyncio.gather(*asking[1:]), BOUND_S)

    assert (answers, source.asked) == ([{"n": 2}] * 2, 2)


async def test_whoever_follows_is_told_of_what_the_others_find(office, join):
    first, second = await join(1), await join(2)
    taken, told = [], asyncio.Event()
    second.subscribe("clock", lambda value: (taken.append(value), told.set()))
    first.subscribe("clock", lambda value: taken.append("its own"))

    first.publish("clock", {"n": 1})

    await asyncio.wait_for(told.wait(), BOUND_S)
    assert taken == [{"n": 1}]


async def test_one_that_begins_later_knows_at_once(office, join):
    (await join(1)).publish("clock", {"n": 1})
    await office.until_heard("tell")
    taken = []

    (await join(2)).subscribe("clock", taken.append)

    assert taken == [{"n": 1}]


async def test_whoever_has_the_last_value_gets_a_newer_one(office, join):
    source = Source(may_answer=True)
    first, second = await join(1), await join(2)
    await first.fetch("clock", source)
    await office.until_heard("found")

    newer = await asyncio.wait_for(first.fetch("clock", source), BOUND_S)
    same = await asyncio.wait_for(second.fetch("clock", source), BOUND_S)

    assert newer == {"n": 2}
    assert same["n"] in (2, 3)  # 3 where the second was told of 2 before it asked


async def test_a_turn_of_somebody_who_waits_no_longer_goes_to_the_next(office, join):
    source = Source()
    asking = await asked_by_all(office, join, source)
    asking[1].cancel()
    await asyncio.wait([asking[1]])

    office.leave(1)
    await asyncio.wait_for(source.is_asked.wait(), BOUND_S)
    source.may_answer.set()

    assert await asyncio.wait_for(asking[2], BOUND_S) == {"n": 2}


async def test_an_asker_that_is_stopped_leaves_nobody_waiting(office, join):
    source = Source()
    asking = await asked_by_all(office, join, source)

    asking[0].cancel()

    failures = await asyncio.wait_for(asyncio.gather(*asking[1:], return_exceptions=True), BOUND_S)
    assert [type(failure) for failure in failures] == [InternalError, InternalError]


async def test_with_a_supervisor_that_does_not_answer_each_asks_by_itself(office, join):
    source = Source(may_answer=True)
    office.is_silent = True
    link = SupervisorChannel()
    await office.join(link, 1)
    shared_cache = SharedCacheClient(link, {}, patience_s=0.01)

    found = await asyncio.wait_for(shared_cache.fetch("clock", source), BOUND_S)

    link.close()
    assert (found, source.asked) == ({"n": 1}, 1)


async def test_what_is_found_wrong_at_once_is_asked_for_anew_at_once(join):
    source = Source(may_answer=True)
    shared_cache = await join(1)
    first = await shared_cache.fetch("token", source)

    # The version of the first one is still on its way back.
    second = await asyncio.wait_for(shared_cache.fetch("token", source), BOUND_S)

    assert (first, second) == ({"n": 1}, {"n": 2})
