"""The exit code of the command shows how its drain ended."""

import asyncio
import signal

import pytest
from support.process import command
from support.raw_server import within
from support.serving import call

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("signals", "code"),
    [((), 0), ((signal.SIGTERM,), 143), ((signal.SIGINT,), 143)],
    ids=["none", "SIGTERM", "Ctrl-C"],
)
async def test_the_exit_code_shows_how_the_drain_ended(tmp_path, upstream, held, signals, code):
    async with command(tmp_path, upstream) as running:
        asking = asyncio.ensure_future(running.ask(call("POST")))
        await upstream.until(lambda: len(upstream.calls) == 1)
        running.process.send_signal(signal.SIGTERM)
        await running.until_logged("stopping")
        for number in signals:
            running.process.send_signal(number)
        if not signals:
            held.go.set()

        ended = await within(running.process.wait())

        answer = await asking
    assert ended == code
    assert (answer is None) == bool(signals)
