import asyncio
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from support.leaping_loop import leap, run
from support.raw_server import RawServer, Side, within
from support.upstream_pool import MakePool

from ovh_proxy.auth.clock import ASK_AGAIN_S, RENEW_S, Clock, Clocks, steady_time
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import ClockUnknown, UpstreamBroken, UpstreamUnreachable
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.upstream.pool import Pool


@dataclass
class FakeClocks:
    """The clocks of this machine and OVHcloud's, advanced by the test."""

    steady: float = 1_000.0
    wall: float = 50_000.0
    ovh: int = 60_000

    def advance(self, seconds: int) -> None:
        self.steady += seconds
        self.wall += seconds
        self.ovh += seconds


@dataclass
class TimeServer:
    """An upstream that returns the time, or `response`; `gate` delays its responses."""

    clocks_now: FakeClocks
    response: bytes | None = None
    asked: list[bytes] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, side: Side) -> None:
        while True:
            self.asked.append(await side.request())
            self.arrived.set()
            await self.gate.wait()
            now = b"%d" % self.clocks_now.ovh
            reported = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(now), now)
            await side.send(reported if self.response is None else self.response)


@pytest.fixture
def clocks_now() -> FakeClocks:
    return FakeClocks()


@pytest_asyncio.fixture
async def time_server(server: RawServer, clocks_now: FakeClocks) -> TimeServer:
    """The upstream; it responds immediately."""
    time_server = TimeServer(clocks_now)
    time_server.gate.set()
    server.scripts = [time_server]
    return time_server


@pytest.fixture
def endpoint(server: RawServer) -> Endpoint:
    return Endpoint("made up", server.url + "/1.0")


@pytest_asyncio.fixture
async def clock(pool: Pool, endpoint: Endpoint, clocks_now: FakeClocks, time_server: TimeServer):
    """A clock that has not fetched the time yet."""
    clock = Clock(pool, endpoint, lambda: clocks_now.steady, lambda: clocks_now.wall)
    yield clock
    await clock.close()


FAILURE = b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown"


async def until_renewed(clock: Clock, answers: int) -> None:
    """Waits for updates in the background."""
    async with asyncio.timeout(5):
        while clock.updates < answers:  # noqa: ASYNC110 - polls the running loop
            await asyncio.sleep(0)


async def until_tasks_end(tasks: int) -> None:
    """Waits until the background tasks have ended."""
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - polls the running loop
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_the_time_request_is_not_signed(
    clock: Clock, time_server: TimeServer, server: RawServer
) -> None:
    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000
    host = b"127.0.0.1:%d" % server.port
    assert time_server.asked == [b"GET /1.0/auth/time HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"]


@pytest.mark.asyncio
async def test_time_passes_without_further_requests(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    clocks_now.advance(1234)

    timestamp = await within(clock.timestamp())

    assert timestamp == 61_234
    assert len(time_server.asked) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [-86_400, 3, 10_000_000], ids=["back", "a little", "ahead"])
async def test_a_step_of_the_wall_clock_changes_nothing(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer, step: int
) -> None:
    await within(clock.timestamp())
    clocks_now.wall += step

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000
    assert clock.delta == 10_000 + 0.5 - step
    assert len(time_server.asked) == 1


@pytest.mark.asyncio
async def test_the_time_is_correct_after_a_suspension(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    clocks_now.advance(8 * 3600)

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000 + 8 * 3600
    await until_renewed(clock, 2)


@pytest.mark.asyncio
async def test_half_of_the_round_trip_is_added(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    time_server.gate.clear()
    asking = asyncio.ensure_future(clock.timestamp())
    await within(time_server.arrived.wait())
    clocks_now.steady += 4
    time_server.gate.set()

    timestamp = await within(asking)

    # OVHcloud read its clock about two seconds after our request.
    assert timestamp == 60_002


@pytest.mark.asyncio
async def test_a_clock_is_unknown_before_the_first_request(clock: Clock) -> None:
    assert not clock.is_known
    assert clock.delta is None


@pytest.mark.asyncio
async def test_a_known_clock_has_a_delta(clock: Clock, time_server: TimeServer) -> None:
    await within(clock.timestamp())

    assert clock.is_known
    assert clock.delta == 10_000.5  # half of the second that was cut


@pytest.mark.asyncio
async def test_concurrent_callers_share_one_request(clock: Clock, time_server: TimeServer) -> None:
    timestamps = await within(asyncio.gather(*(clock.timestamp() for _ in range(10))))

    assert timestamps == [60_000] * 10
    assert len(time_server.asked) == 1


@pytest.mark.asyncio
async def test_a_cancelled_caller_does_not_stop_the_request(
    clock: Clock, time_server: TimeServer
) -> None:
    time_server.gate.clear()
    calls = [asyncio.ensure_future(clock.timestamp()) for _ in range(2)]
    await within(time_server.arrived.wait())
    calls[0].cancel()
    await asyncio.wait([calls[0]])
    time_server.gate.set()

    timestamp = await within(calls[1])

    assert timestamp == 60_000
    assert len(time_server.asked) == 1


@pytest.mark.asyncio
async def test_after_an_hour_the_time_is_renewed_in_the_background(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    clocks_now.advance(int(RENEW_S))
    clocks_now.ovh += 7
    time_server.gate.clear()

    meanwhile = [await within(clock.timestamp()) for _ in range(3)]

    time_server.gate.set()
    await until_renewed(clock, 2)
    assert meanwhile == [63_600] * 3
    assert await within(clock.timestamp()) == 63_607
    assert len(time_server.asked) == 2


@pytest.mark.asyncio
async def test_within_the_hour_the_time_is_not_renewed(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    tasks_before = len(asyncio.all_tasks())
    clocks_now.advance(int(RENEW_S) - 1)

    await within(clock.timestamp())

    await until_tasks_end(tasks_before)
    assert len(time_server.asked) == 1


@pytest.mark.asyncio
async def test_a_failed_renewal_keeps_the_old_time_and_is_retried_once_a_minute(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    time_server.response = FAILURE
    clocks_now.advance(int(RENEW_S))
    tasks_before = len(asyncio.all_tasks())
    tried = []
    for pause in (0, 30, 29, 1, 59, 1):
        clocks_now.advance(pause)
        await within(clock.timestamp())
        await until_tasks_end(tasks_before)
        tried.append(len(time_server.asked) - 1)

    timestamp = await within(clock.timestamp())

    assert tried == [1, 1, 1, 2, 2, 3]
    assert timestamp == 63_600 + 120


FAILURES = {
    "another status": FAILURE,
    "no number": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoon",
    "not even text": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("response", FAILURES.values(), ids=FAILURES)
async def test_an_invalid_time_leaves_the_clock_unknown(
    clock: Clock, time_server: TimeServer, response: bytes
) -> None:
    time_server.response = response

    with pytest.raises(ClockUnknown):
        await within(clock.timestamp())

    assert not clock.is_known


@pytest.mark.asyncio
async def test_an_endless_number_is_cut(clock: Clock, time_server: TimeServer) -> None:
    time_server.response = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"9" * 4000

    timestamp = await within(clock.timestamp())

    assert timestamp > 0


@pytest.mark.asyncio
async def test_an_unknown_clock_is_requested_again_on_next_use(
    clock: Clock, time_server: TimeServer
) -> None:
    time_server.response = FAILURE
    with pytest.raises(ClockUnknown):
        await within(clock.timestamp())
    time_server.response = None

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000


@pytest.mark.asyncio
async def test_an_unreachable_upstream_is_reported_as_unreachable(pool: Pool) -> None:
    clock = Clock(pool, Endpoint("made up", "http://made-up.invalid/1.0"))

    with pytest.raises(UpstreamUnreachable):
        await within(clock.timestamp())


@pytest.mark.asyncio
async def test_a_malformed_response_is_reported_as_broken(
    clock: Clock, time_server: TimeServer
) -> None:
    time_server.response = b"garbage\r\n\r\n"

    with pytest.raises(UpstreamBroken):
        await within(clock.timestamp())


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n6"])
def test_a_slow_time_response_leaves_the_clock_unknown(start: bytes) -> None:
    async def wait(side: Side) -> None:
        await side.answer(start)
        await side.until_gone()

    async def lives() -> None:
        async with RawServer() as server:
            server.scripts = [wait]
            pool = Pool(Upstream(), Timeouts())
            clock = Clock(pool, Endpoint("made up", server.url + "/1.0"))
            asking = asyncio.ensure_future(clock.timestamp())
            await server.until(lambda: bool(server.sides))
            for _ in range(5):  # the head arrives, or not
                await asyncio.sleep(0)
            await leap(11)
            with pytest.raises(ClockUnknown, match="in time"):
                await within(asking)
            await server.until(lambda: server.open == 0)
            await pool.close()

    run(lives())


@pytest.mark.asyncio
async def test_a_cancelled_request_closes_its_connection(
    clock: Clock, time_server: TimeServer, server: RawServer
) -> None:
    async def half(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n6")
        for _ in range(3):  # we read the head and wait for the rest
            await asyncio.sleep(0)
        time_server.arrived.set()
        await side.until_gone()

    server.scripts = [half]
    asking = asyncio.ensure_future(clock.timestamp())
    await within(time_server.arrived.wait())
    await clock.close()
    await asyncio.wait([asking])

    await server.until(lambda: server.open == 0)


# `Query out of time`.


@pytest.mark.asyncio
async def test_a_rejected_timestamp_refreshes_the_clock(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    clocks_now.ovh += 500

    is_better = await within(clock.refresh(clock.updates))

    assert is_better
    assert await within(clock.timestamp()) == 60_500


@pytest.mark.asyncio
async def test_the_clock_is_refreshed_at_most_once_a_minute(
    clock: Clock, clocks_now: FakeClocks, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    outcomes = []
    for pause in (0, 30, int(ASK_AGAIN_S) - 31, 1):
        clocks_now.advance(pause)
        outcomes.append(await within(clock.refresh(clock.updates)))

    assert outcomes == [True, False, False, True]
    assert len(time_server.asked) == 3


@pytest.mark.asyncio
async def test_concurrent_refreshes_share_one_request(
    clock: Clock, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    seen = clock.updates

    outcomes = await within(asyncio.gather(*(clock.refresh(seen) for _ in range(5))))

    assert outcomes == [True] * 5
    assert len(time_server.asked) == 2


@pytest.mark.asyncio
async def test_a_caller_with_an_older_timestamp_retries_without_a_request(
    clock: Clock, time_server: TimeServer
) -> None:
    await within(clock.timestamp())
    seen = clock.updates
    await within(clock.refresh(seen))

    is_better = await within(clock.refresh(seen))

    assert is_better
    assert len(time_server.asked) == 2


@pytest.mark.asyncio
async def test_a_failed_refresh_keeps_the_old_time(clock: Clock, time_server: TimeServer) -> None:
    await within(clock.timestamp())
    time_server.response = FAILURE

    is_better = await within(clock.refresh(clock.updates))

    assert not is_better
    assert await within(clock.timestamp()) == 60_000


# Several clocks.


@pytest.mark.asyncio
async def test_an_endpoint_has_one_clock(make_pool: MakePool, endpoint: Endpoint) -> None:
    clocks = Clocks(make_pool())

    clock = clocks.of(endpoint)

    assert clocks.of(Endpoint("another name", endpoint.base_url)) is clock
    assert clocks.of(Endpoint("another", "http://127.0.0.1:1/1.0")) is not clock
    await clocks.close()


@pytest.mark.asyncio
async def test_closing_cancels_a_running_request(
    make_pool: MakePool, endpoint: Endpoint, time_server: TimeServer
) -> None:
    time_server.gate.clear()
    clocks = Clocks(make_pool())
    asking = asyncio.ensure_future(clocks.of(endpoint).timestamp())
    await within(time_server.arrived.wait())

    await clocks.close()
    await within(asyncio.wait([asking]))

    assert asking.cancelled()


def test_the_steady_clock_never_goes_back() -> None:
    before = steady_time()

    assert steady_time() >= before
