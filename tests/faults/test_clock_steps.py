"""Clocks that jump by years, the local one and OVHcloud's: calls use OVHcloud's time."""

import time
from pathlib import Path

import pytest
from support.process import command
from support.proxy_server import Message
from support.raw_server import OK, Side
from support.serving import Outcome, call, outcome_of

pytestmark = pytest.mark.asyncio

YEARS = 10 * 365 * 86_400
OUT_OF_TIME = b'{"class":"Client::BadRequest","message":"Query out of time"}'
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (
    len(OUT_OF_TIME),
    OUT_OF_TIME,
)


def faketime() -> str:
    """Returns the path of a library that changes a process's wall clock."""
    folders = [*Path("/usr/lib").glob("*/faketime"), Path("/usr/lib/faketime")]
    found = [one for folder in folders for one in folder.glob("libfaketime.so.1")]
    if not found:
        pytest.skip("needs libfaketime")
    return str(found[0])


@pytest.mark.parametrize("years", ["+10y", "-10y"], ids=["ahead", "back"])
async def test_a_jump_of_the_local_clock_does_not_affect_signatures(tmp_path, upstream, years):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    async with command(tmp_path, upstream, env=env) as running:
        before = await running.ask(call())
        clock.write_text(years)

        answers = [await running.ask(call("POST")) for _ in range(3)]

        logged = running.records[-1]["time"]
        page = await running.ask(call(target="/-/metrics"))
    assert before is not None
    assert [answer.status for answer in (before, *answers) if answer is not None] == [200] * 4
    assert upstream.wrong_signatures() == []
    # The clock has really changed, and the metrics show it.
    assert logged[:4] != time.strftime("%Y", time.gmtime())
    assert page is not None
    delta = page.body.partition(b"ovh_proxy_clock_delta_seconds{")[2].partition(b"\n")[0]
    assert abs(abs(float(delta.rpartition(b" ")[2])) - YEARS) < 10 * 86_400


@pytest.mark.parametrize("step", [YEARS, -YEARS], ids=["ahead", "back"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_jump_of_ovhclouds_clock_costs_one_attempt(proxy_server, upstream, method, step):
    async def script(side: Side) -> None:
        while True:
            await side.request()
            is_wrong = upstream.wrong_with(Message(side.heads[-1], side.bodies[-1]))
            await side.send(REFUSAL if is_wrong else OK)

    upstream.scripts = [script]
    first = await outcome_of(proxy_server, upstream, call(method))
    upstream.now = lambda: time.time() + step

    outcome = await outcome_of(proxy_server, upstream, call(method))

    assert first == Outcome(200)
    assert outcome == Outcome(200, attempts=2, arrived=2)
