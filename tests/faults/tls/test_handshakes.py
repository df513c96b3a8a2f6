"""Handshakes that hang, fail or break off: nothing was sent, and all of them have a timeout."""

import asyncio

import pytest
from support.leaping_loop import leap
from support.raw_server import BOUND_S, RawServer, Side
from support.serving import Outcome, call, outcome_of

from ovh_proxy.core.settings import Timeouts

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("bounds", [Timeouts(connect_s=1)], ids=["a second"])
async def test_a_handshake_that_hangs_times_out(proxy_server, upstream, relay):
    relay.back.limit, relay.back.then = 0, "swallow"
    before = relay.taken
    asking = asyncio.ensure_future(outcome_of(proxy_server, upstream, call()))

    for attempt in (1, 2, 3):
        async with asyncio.timeout(BOUND_S):
            while relay.taken < before + attempt:
                await asyncio.wait((asking,), timeout=0.01)
        assert not asking.done()
        await leap(1)

    assert await asking == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)


async def says_something_else(side: Side) -> None:
    await side.reader.read(1)
    await side.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await side.until_gone()


async def ends(side: Side) -> None:
    await side.reader.read(10_000)


async def resets(side: Side) -> None:
    await side.reader.read(1)
    side.reset()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (says_something_else, "UPSTREAM_TLS"),
        (ends, "UPSTREAM_UNREACHABLE"),
        (resets, "UPSTREAM_UNREACHABLE"),
    ],
    ids=["no TLS", "an end", "a reset"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_failed_handshake_is_retried(proxy_server, upstream, relay, method, script, code):
    async with RawServer() as other:
        other.scripts = [script]
        relay.to_port = other.port
        outcome = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == Outcome(502, code, attempts=3, arrived=0)
    assert len(other.sides) == 3
