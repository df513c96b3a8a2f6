"""Between the stop that was asked for and the end: what is under way is served."""

import asyncio

from ovh_proxy.core.settings import Timeouts
from ovh_proxy.listeners.listener import OpenListener
from ovh_proxy.logs import Log
from ovh_proxy.proxy.admin_routes import ServerState

_LOOK_S = 0.02


class ShutdownRequest:
    """Asks for a stop: the first time for a clean one, the second time for one at once.

    Attributes:
        is_late: the listeners are closed without the drain delay.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()
        self.signal: int | None = None
        self.is_late = False

    def __call__(self, number: int | None = None) -> None:
        if self.asked.is_set():
            self.forced.set()
        else:
            self.signal = number
            self.asked.set()


async def drain(
    server_state: ServerState,
    log: Log,
    timeouts: Timeouts,
    opened: list[OpenListener],
    stop: ShutdownRequest,
) -> bool:
    """Goes on accepting for the drain delay, then lets the requests in flight end.

    Returns:
        whether all of them ended by themselves.
    """
    server_state.is_stopping = True
    log.write("info", "stopping", in_flight=server_state.in_flight)
    await _wait(stop.forced, 0 if stop.is_late else timeouts.drain_delay_s)
    for listener in opened:
        listener.close()
    server_state.is_drained = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeouts.drain_s
    while server_state.in_flight and not stop.forced.is_set() and loop.time() < deadline:
        await _wait(stop.forced, _LOOK_S)
    cut_short = server_state.in_flight
    log.write("info", "stopped", cut_short=cut_short)
    return not cut_short


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
