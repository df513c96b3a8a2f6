"""Handshakes that do not end, fail, or are cut: nothing was sent, and all of it has a bound."""

import asyncio

import pytest
from support.front import Outcome, call, outcome_of
from upstream.raw_server import RawServer, Side

pytestmark = pytest.mark.asyncio


async def test_a_handshake_that_does_not_end_is_given_up(front, upstream, relay):
    relay.back.limit, relay.back.then = 0, "swallow"
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(front, upstream, call())

    assert outcome == Outcome(504, "UPSTREAM_TIMEOUT", attempts=3, arrived=0)
    assert 0.9 <= asyncio.get_running_loop().time() - began < 3


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
async def test_a_handshake_that_fails_is_tried_again(front, upstream, relay, method, script, code):
    async with RawServer() as other:
        other.scripts = [script]
        relay.to_port = other.port
        outcome = await outcome_of(front, upstream, call(method))

    assert outcome == Outcome(502, code, attempts=3, arrived=0)
    assert len(other.sides) == 3
