"""Signals where the event loop takes none itself."""

import asyncio
import os
import signal
import sys

import pytest

from ovh_proxy.server.serve import ShutdownRequest, handle_signals


class WindowsLikeLoop(asyncio.SelectorEventLoop):
    """Windows' loops take no signals."""

    def add_signal_handler(self, *_):
        raise NotImplementedError


@pytest.fixture
def kept_handlers():
    """The process's own handlers, at the end again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_takes_no_signals_is_stopped_all_the_same(kept_handlers, number):
    stop = ShutdownRequest()

    async def serve() -> None:
        handle_signals(stop)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.requested.wait(), 5)

    with asyncio.Runner(loop_factory=WindowsLikeLoop) as runner:
        runner.run(serve())

    assert stop.signal == number
