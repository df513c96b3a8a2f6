"""The sandbox and the proxy of the demonstration, together in one loop."""

import asyncio
import io
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovh_proxy.cli.made_up import demo_store
from ovh_proxy.cli.run import exit_code
from ovh_proxy.cli.showing import ask, showing
from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Listener, Settings, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.server.serve import ShutdownRequest, handle_signals, serve

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Listen:
    """An address, and whether another port will do where it is taken."""

    address: TcpAddress
    may_move: bool


async def show_and_serve(sandbox: Sandbox, listen: Listen, once: bool, console: "Console") -> int:
    """Starts both, shows one request, serves on until it is told to stop; gives the exit code.

    Args:
        sandbox: not started yet.
        listen: where the proxy should listen.

    Raises:
        ListenFailed: the address cannot be listened on.
        CommandFailed: the request got no answer.
    """
    stop, curtain = ShutdownRequest(), _DeferredOutput()
    handle_signals(stop)
    async with sandbox:
        settings = Settings(store=demo_store(sandbox.base_url, sandbox.token_url))
        proxy = await _start(settings, listen, Log("info", "text", curtain), stop)
        try:
            shown = await ask(proxy.url, sandbox)
            taken = f"Port {listen.address.port} is taken, so a free one serves."
            note = taken if proxy.has_moved else None
            for text, style in showing(shown, proxy.url, sandbox.url, once, note):
                console.print(text, style=style, markup=False)
            if not once:
                curtain.is_open = True
                await stop.asked.wait()
        finally:
            if not stop.asked.is_set():
                stop()  # a second one would cut requests short
            clean = await proxy.served
    return exit_code(clean, stop.signal) if shown.is_accepted or not once else 1


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy that listens.

    Attributes:
        has_moved: to a free port, because the one asked for is taken.
    """

    url: str
    served: asyncio.Task[bool]
    has_moved: bool = False


class _DeferredOutput(io.StringIO):
    """Standard error once it is open; nothing of the showing's own request before."""

    is_open = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.is_open else len(text)

    def flush(self) -> None:
        sys.stderr.flush()


async def _start(settings: Settings, listen: Listen, log: Log, stop: ShutdownRequest) -> _Proxy:
    try:
        return await _start_at(listen.address, settings, log, stop)
    except ListenFailed:
        if not listen.may_move:
            raise
    moved = await _start_at(replace(listen.address, port=0), settings, log, stop)
    return replace(moved, has_moved=True)


async def _start_at(
    address: TcpAddress, settings: Settings, log: Log, stop: ShutdownRequest
) -> _Proxy:
    settings = replace(settings, listen=(Listener(address),))
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    served = asyncio.ensure_future(serve(settings, log, listening.set_result, stop))
    either: set[asyncio.Future[Any]] = {served, listening}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        listening.cancel()
        await served  # raises why it does not listen
    # ovh-proxy: listening on URL (profile demo, …)
    return _Proxy(listening.result().split()[3], served)
