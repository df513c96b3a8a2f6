import asyncio

import pytest
from support.raw_server import within

from ovh_proxy.upstream.single_flight import SingleFlight


class CountedFetch:
    """Counts its calls, and returns when the gate opens."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.count = 0
        self.gate = asyncio.Event()
        self._failure = failure

    async def __call__(self) -> int:
        self.count += 1
        count = self.count
        await self.gate.wait()
        if self._failure is not None:
            raise self._failure
        return count


@pytest.mark.asyncio
async def test_concurrent_callers_share_the_result() -> None:
    ask = CountedFetch()
    flight = SingleFlight(ask)
    calls = [asyncio.ensure_future(flight()) for _ in range(3)]
    await asyncio.sleep(0)
    ask.gate.set()

    answers = await within(asyncio.gather(*calls))

    assert answers == [1, 1, 1]


@pytest.mark.asyncio
async def test_a_later_caller_fetches_again() -> None:
    ask = CountedFetch()
    ask.gate.set()
    flight = SingleFlight(ask)
    await within(flight())

    response = await within(flight())

    assert response == 2


@pytest.mark.asyncio
async def test_a_failure_is_shared(complaints: list[object]) -> None:
    ask = CountedFetch(ValueError("made up"))
    ask.gate.set()
    flight = SingleFlight(ask)

    failures = await within(asyncio.gather(flight(), flight(), return_exceptions=True))

    assert [str(failure) for failure in failures] == ["made up"] * 2
    assert ask.count == 1


@pytest.mark.asyncio
async def test_a_fetch_continues_when_all_callers_are_cancelled(complaints: list[object]) -> None:
    ask = CountedFetch(ValueError("made up"))
    flight = SingleFlight(ask)
    waiting = asyncio.ensure_future(flight())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

    was_under_way = flight.is_running
    task = flight.start()
    ask.gate.set()
    await within(asyncio.wait([task]))

    assert was_under_way
    assert not flight.is_running
    assert ask.count == 1


@pytest.mark.asyncio
async def test_stopping_cancels_the_fetch_and_its_callers() -> None:
    flight = SingleFlight(CountedFetch())
    waiting = asyncio.ensure_future(flight())
    await asyncio.sleep(0)

    await within(flight.stop())
    await within(asyncio.wait([waiting]))

    assert waiting.cancelled()
    assert not flight.is_running


@pytest.mark.asyncio
async def test_stopping_without_a_fetch_does_nothing() -> None:
    flight = SingleFlight(CountedFetch())

    await within(flight.stop())

    assert not flight.is_running
