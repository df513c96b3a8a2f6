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
class Hands:
    """The clocks of this machine, and OVHcloud's: they go when a test says so."""

    steady: float = 1_000.0
    wall: float = 50_000.0
    ovh: int = 60_000

    def pass_by(self, seconds: int) -> None:
        self.steady += seconds
        self.wall += seconds
        self.ovh += seconds


@dataclass
class Teller:
    """An upstream that tells the time, or does not; `gate` holds its answers back."""

    hands: Hands
    answer: bytes | None = None
    asked: list[bytes] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, side: Side) -> None:
        while True:
            self.asked.append(await side.request())
            self.arrived.set()
            await self.gate.wait()
            now = b"%d" % self.hands.ovh
            told = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(now), now)
            await side.send(told if self.answer is None else self.answer)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest_asyncio.fixture
async def teller(server: RawServer, hands: Hands) -> Teller:
    """What the upstream does; it answers at once."""
    teller = Teller(hands)
    teller.gate.set()
    server.scripts = [teller]
    return teller


@pytest.fixture
def endpoint(server: RawServer) -> Endpoint:
    return Endpoint("made up", server.url + "/1.0")


@pytest_asyncio.fixture
async def clock(pool: Pool, endpoint: Endpoint, hands: Hands, teller: Teller):
    """A clock that nobody has asked yet."""
    clock = Clock(pool, endpoint, lambda: hands.steady, lambda: hands.wall)
    yield clock
    await clock.close()


FAILURE = b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown"


async def until_renewed(clock: Clock, answers: int) -> None:
    """Waits for what goes on in the background."""
    async with asyncio.timeout(5):
        while clock.updates < answers:  # noqa: ASYNC110 - the loop is what is waited for
            await asyncio.sleep(0)


async def until_calm(tasks: int) -> None:
    """Waits until no more tasks are there than before an ask in the background."""
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - the loop is what is waited for
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_the_time_is_asked_for_without_any_proof(
    clock: Clock, teller: Teller, server: RawServer
) -> None:
    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000
    host = b"127.0.0.1:%d" % server.port
    assert teller.asked == [b"GET /1.0/auth/time HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"]


@pytest.mark.asyncio
async def test_time_passes_without_asking(clock: Clock, hands: Hands, teller: Teller) -> None:
    await within(clock.timestamp())
    hands.pass_by(1234)

    timestamp = await within(clock.timestamp())

    assert timestamp == 61_234
    assert len(teller.asked) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [-86_400, 3, 10_000_000], ids=["back", "a little", "ahead"])
async def test_a_step_of_the_wall_clock_bends_nothing(
    clock: Clock, hands: Hands, teller: Teller, step: int
) -> None:
    await within(clock.timestamp())
    hands.wall += step

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000
    assert clock.delta == 10_000 + 0.5 - step
    assert len(teller.asked) == 1


@pytest.mark.asyncio
async def test_a_machine_that_slept_knows_the_time_when_it_wakes(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    hands.pass_by(8 * 3600)

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000 + 8 * 3600
    await until_renewed(clock, 2)


@pytest.mark.asyncio
async def test_half_of_the_way_is_counted_in(clock: Clock, hands: Hands, teller: Teller) -> None:
    teller.gate.clear()
    asking = asyncio.ensure_future(clock.timestamp())
    await within(teller.arrived.wait())
    hands.steady += 4
    teller.gate.set()

    timestamp = await within(asking)

    # It was read when we had waited for two seconds, give or take.
    assert timestamp == 60_002


@pytest.mark.asyncio
async def test_a_clock_nobody_has_asked_is_unknown(clock: Clock) -> None:
    assert not clock.is_known
    assert clock.delta is None


@pytest.mark.asyncio
async def test_a_clock_that_was_asked_tells_its_delta(clock: Clock, teller: Teller) -> None:
    await within(clock.timestamp())

    assert clock.is_known
    assert clock.delta == 10_000.5  # half of the second that was cut


@pytest.mark.asyncio
async def test_callers_at_once_share_one_ask(clock: Clock, teller: Teller) -> None:
    timestamps = await within(asyncio.gather(*(clock.timestamp() for _ in range(10))))

    assert timestamps == [60_000] * 10
    assert len(teller.asked) == 1


@pytest.mark.asyncio
async def test_a_caller_that_leaves_does_not_stop_the_ask(clock: Clock, teller: Teller) -> None:
    teller.gate.clear()
    calls = [asyncio.ensure_future(clock.timestamp()) for _ in range(2)]
    await within(teller.arrived.wait())
    calls[0].cancel()
    await asyncio.wait([calls[0]])
    teller.gate.set()

    timestamp = await within(calls[1])

    assert timestamp == 60_000
    assert len(teller.asked) == 1


@pytest.mark.asyncio
async def test_after_an_hour_it_is_renewed_while_the_old_one_serves(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    hands.pass_by(int(RENEW_S))
    hands.ovh += 7
    teller.gate.clear()

    meanwhile = [await within(clock.timestamp()) for _ in range(3)]

    teller.gate.set()
    await until_renewed(clock, 2)
    assert meanwhile == [63_600] * 3
    assert await within(clock.timestamp()) == 63_607
    assert len(teller.asked) == 2


@pytest.mark.asyncio
async def test_within_the_hour_it_is_not_renewed(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    calm = len(asyncio.all_tasks())
    hands.pass_by(int(RENEW_S) - 1)

    await within(clock.timestamp())

    await until_calm(calm)
    assert len(teller.asked) == 1


@pytest.mark.asyncio
async def test_a_renewal_that_fails_keeps_the_old_one_and_is_tried_once_a_minute(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    teller.answer = FAILURE
    hands.pass_by(int(RENEW_S))
    calm = len(asyncio.all_tasks())
    tried = []
    for pause in (0, 30, 29, 1, 59, 1):
        hands.pass_by(pause)
        await within(clock.timestamp())
        await until_calm(calm)
        tried.append(len(teller.asked) - 1)

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
@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
async def test_what_is_no_time_leaves_the_clock_unknown(
    clock: Clock, teller: Teller, answer: bytes
) -> None:
    teller.answer = answer

    with pytest.raises(ClockUnknown):
        await within(clock.timestamp())

    assert not clock.is_known


@pytest.mark.asyncio
async def test_a_number_too_long_for_a_time_hurts_nobody(clock: Clock, teller: Teller) -> None:
    teller.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"9" * 4000

    timestamp = await within(clock.timestamp())

    assert timestamp > 0


@pytest.mark.asyncio
async def test_a_clock_that_was_not_told_asks_at_the_next_need(
    clock: Clock, teller: Teller
) -> None:
    teller.answer = FAILURE
    with pytest.raises(ClockUnknown):
        await within(clock.timestamp())
    teller.answer = None

    timestamp = await within(clock.timestamp())

    assert timestamp == 60_000


@pytest.mark.asyncio
async def test_an_upstream_that_cannot_be_reached_is_told_as_such(pool: Pool) -> None:
    clock = Clock(pool, Endpoint("made up", "http://made-up.invalid/1.0"))

    with pytest.raises(UpstreamUnreachable):
        await within(clock.timestamp())


@pytest.mark.asyncio
async def test_a_broken_answer_is_told_as_such(clock: Clock, teller: Teller) -> None:
    teller.answer = b"garbage\r\n\r\n"

    with pytest.raises(UpstreamBroken):
        await within(clock.timestamp())


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n6"])
def test_an_endpoint_that_takes_too_long_to_tell_leaves_the_clock_unknown(start: bytes) -> None:
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
            for _ in range(5):  # the head comes, or does not
                await asyncio.sleep(0)
            await leap(11)
            with pytest.raises(ClockUnknown, match="in time"):
                await within(asking)
            await server.until(lambda: server.open == 0)
            await pool.close()

    run(lives())


@pytest.mark.asyncio
async def test_an_ask_that_is_stopped_closes_its_connection(
    clock: Clock, teller: Teller, server: RawServer
) -> None:
    async def half(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n6")
        for _ in range(3):  # our end reads the head, and waits for the rest
            await asyncio.sleep(0)
        teller.arrived.set()
        await side.until_gone()

    server.scripts = [half]
    asking = asyncio.ensure_future(clock.timestamp())
    await within(teller.arrived.wait())
    await clock.close()
    await asyncio.wait([asking])

    await server.until(lambda: server.open == 0)


# `Query out of time`.


@pytest.mark.asyncio
async def test_a_timestamp_called_wrong_makes_it_ask_again(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    hands.ovh += 500

    is_better = await within(clock.refresh(clock.updates))

    assert is_better
    assert await within(clock.timestamp()) == 60_500


@pytest.mark.asyncio
async def test_it_asks_again_at_most_once_a_minute(
    clock: Clock, hands: Hands, teller: Teller
) -> None:
    await within(clock.timestamp())
    outcomes = []
    for pause in (0, 30, int(ASK_AGAIN_S) - 31, 1):
        hands.pass_by(pause)
        outcomes.append(await within(clock.refresh(clock.updates)))

    assert outcomes == [True, False, False, True]
    assert len(teller.asked) == 3


@pytest.mark.asyncio
async def test_callers_called_wrong_at_once_share_one_ask_and_all_try_again(
    clock: Clock, teller: Teller
) -> None:
    await within(clock.timestamp())
    seen = clock.updates

    outcomes = await within(asyncio.gather(*(clock.refresh(seen) for _ in range(5))))

    assert outcomes == [True] * 5
    assert len(teller.asked) == 2


@pytest.mark.asyncio
async def test_a_caller_with_an_older_answer_tries_again_without_asking(
    clock: Clock, teller: Teller
) -> None:
    await within(clock.timestamp())
    seen = clock.updates
    await within(clock.refresh(seen))

    is_better = await within(clock.refresh(seen))

    assert is_better
    assert len(teller.asked) == 2


@pytest.mark.asyncio
async def test_an_ask_that_fails_gives_no_better_time(clock: Clock, teller: Teller) -> None:
    await within(clock.timestamp())
    teller.answer = FAILURE

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
async def test_closing_stops_an_ask_under_way(
    make_pool: MakePool, endpoint: Endpoint, teller: Teller
) -> None:
    teller.gate.clear()
    clocks = Clocks(make_pool())
    asking = asyncio.ensure_future(clocks.of(endpoint).timestamp())
    await within(teller.arrived.wait())

    await clocks.close()
    await within(asyncio.wait([asking]))

    assert asking.cancelled()


def test_the_steady_clock_never_goes_back() -> None:
    before = steady_time()

    assert steady_time() >= before
