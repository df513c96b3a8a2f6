"""Signals on event loops that do not support them."""

import asyncio
import os
import signal
import sys

import pytest

from ovh_proxy.server.serve import ShutdownRequest, handle_signals


class WindowsLikeLoop(asyncio.SelectorEventLoop):
    """An event loop without signal support, as on Windows."""

    def add_signal_handler(self, *_):
        raise NotImplementedError


@pytest.fixture
def kept_handlers():
    """Restores the signal handlers at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_loop_without_signal_support(kept_handlers, number):
    stop = ShutdownRequest()

    async def serve() -> None:
        handle_signals(stop)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.requested.wait(), 5)

    with asyncio.Runner(loop_factory=WindowsLikeLoop) as runner:
        runner.run(serve())

    assert stop.signal == number
