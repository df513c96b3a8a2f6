"""`ovh-proxy demo`: shows the proxy at work on made-up keys, before a sandbox."""

import asyncio
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.imports import require_c_parser
from ovh_proxy.cli.options import option
from ovh_proxy.cli.run import exit_code
from ovh_proxy.cli.sandbox import demo_store
from ovh_proxy.cli.terminal import safe
from ovh_proxy.config.listener_fields import is_exposed, parse_tcp
from ovh_proxy.core.errors import CommandFailed, ListenFailed, UsageError
from ovh_proxy.core.settings import Listener, Settings, TcpAddress

if TYPE_CHECKING:
    from rich.console import Console

    from ovh_proxy.logs import Log
    from ovh_proxy.sandbox.api import Sandbox
    from ovh_proxy.sandbox.call import ReceivedRequest
    from ovh_proxy.server.serve import ShutdownRequest


_ANSWER_S = 10.0

_WIDTH = 72

_MADE_UP = frozenset({b"X-Ovh-Application", b"X-Ovh-Consumer"})

_LENGTH = re.compile(r"(?im)^content-length: *(\d+)\r$")

# Text, and its style on a terminal.
Line = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Shown:
    """A request at each of its stations.

    Attributes:
        asked: its lines as the proxy got them.
        received: the same as the API got it.
        status: the answer's status line.
        body: of the answer.
    """

    asked: tuple[str, ...]
    received: "ReceivedRequest"
    status: str
    body: str

    @property
    def is_accepted(self) -> bool:
        """Whether the API found the signature right."""
        return self.received.verdict.startswith("signed by ")


async def ask(url: str, sandbox: "Sandbox") -> Shown:
    """Sends `GET /me` through the proxy at a URL to the sandbox behind it.

    Raises:
        CommandFailed: it did not come through.
    """
    host = urlsplit(url).netloc
    asked = ("GET /me HTTP/1.1", f"Host: {host}", "User-Agent: ovh-proxy-demo", "Accept: */*")
    try:
        async with asyncio.timeout(_ANSWER_S):
            status, body = await _exchange(url, "\r\n".join(asked) + "\r\n\r\n")
    except (OSError, EOFError, ValueError) as failure:
        raise CommandFailed("the demonstration failed: the proxy did not answer") from failure
    received = [request for request in sandbox.requests if request.target == b"/1.0/me"]
    if not received:
        raise CommandFailed(f"the demonstration failed: the proxy answered {status}")
    return Shown(asked, received[-1], status, body)


async def _exchange(url: str, request: str) -> tuple[str, str]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request.encode("ascii"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
        await writer.wait_closed()
    return head.partition("\r\n")[0], body.decode("utf-8", "replace")


def showing(shown: Shown, proxy: str, sandbox: str, once: bool, note: str | None) -> Iterator[Line]:
    """What the demonstration prints.

    Args:
        proxy: its URL; sandbox: likewise.
        note: what else has to be said of the proxy's address.
    """
    yield "ovh-proxy demo: real HTTP on this machine; only the keys are made up.", "bold"
    if note:
        yield note, "yellow"
    yield from _heading(1, f"What came in at the proxy, {proxy}: no key, no signature")
    yield from ((f"   {line}", None) for line in shown.asked)
    yield from _heading(2, f"What went out to the API, here a sandbox at {sandbox}")
    yield from _request(shown.received)
    verdict = shown.received.verdict
    said = "signature accepted" if shown.is_accepted else f"signature NOT accepted ({verdict})"
    yield from _heading(3, f"What the API said: {said}", "green" if shown.is_accepted else "red")
    yield f"   {safe(shown.status)}", None
    yield from ((f"   {line}", None) for line in _folded(safe(shown.body)))
    yield from _once() if once else _invitation(proxy)


def _folded(text: str) -> Iterator[str]:
    """JSON in lines that end behind a comma where they can."""
    line = ""
    for piece in re.findall(r"[^,]*,|[^,]+$", text):
        if line and len(line) + len(piece) > _WIDTH:
            yield line
            line = ""
        line += piece
    yield line


def _heading(number: int, text: str, style: str = "cyan") -> Iterator[Line]:
    yield "", None
    yield f"{number}  {text}", f"bold {style}"
    yield "", None


def _request(received: "ReceivedRequest") -> Iterator[Line]:
    yield f"   {received.method} {received.target.decode('latin-1')} HTTP/{received.version}", None
    for name, value in received.headers:
        is_ours = name.startswith(b"X-Ovh-")
        text = f"   {safe(name.decode('latin-1'))}: {safe(value.decode('latin-1'))}"
        label = "  (made up)" if name in _MADE_UP else ""
        yield text + label, "green" if is_ours else None


def _once() -> Iterator[Line]:
    yield "", None
    yield "Without --once it serves on, for your own curl.", None


def _invitation(proxy: str) -> Iterator[Line]:
    yield from _heading(4, "Your turn, in another terminal")
    yield from ((f"   {line.format(proxy=proxy)}", None) for line in _TO_TRY)
    yield "", None
    yield "With keys of your own: ovh-proxy run.  Ctrl-C ends this.", "bold"


_TO_TRY = (
    "curl {proxy}/me/bill",
    "curl {proxy}/domain/zone/example.org/record \\",
    """     -d '{{"fieldType":"TXT","subDomain":"caf\u00e9","target":"bient\u00f4t"}}'""",
    "curl {proxy}/@robot/me        # a service account: OAuth2 token",
    "curl {proxy}/-/profiles       # the proxy's own; see also /-/readyz",
    "curl {proxy}/-/metrics",
    "curl -X DELETE {proxy}/me     # refused: no access rule grants it",
)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address, and whether another port will do where it is taken."""

    address: TcpAddress
    may_move: bool


async def show_and_serve(sandbox: "Sandbox", listen: Listen, once: bool, console: "Console") -> int:
    """Starts both, shows one request, serves on until it is told to stop; gives the exit code.

    Args:
        sandbox: not started yet.
        listen: where the proxy should listen.

    Raises:
        ListenFailed: the address cannot be listened on.
        CommandFailed: the request got no answer.
    """
    # Imported here, so that `--help` and a wrong flag do not wait for the server.
    from ovh_proxy.logs import Log
    from ovh_proxy.server.serve import ShutdownRequest, handle_signals

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
                await stop.requested.wait()
        finally:
            if not stop.requested.is_set():
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


async def _start(settings: Settings, listen: Listen, log: "Log", stop: "ShutdownRequest") -> _Proxy:
    try:
        return await _start_at(listen.address, settings, log, stop)
    except ListenFailed:
        if not listen.may_move:
            raise
    moved = await _start_at(replace(listen.address, port=0), settings, log, stop)
    return replace(moved, has_moved=True)


async def _start_at(
    address: TcpAddress, settings: Settings, log: "Log", stop: "ShutdownRequest"
) -> _Proxy:
    from ovh_proxy.server.serve import serve

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


_DEFAULT = TcpAddress("127.0.0.1", 8080)


@click.command("demo")
@option("--once", "End after the showing.", "demo", is_flag=True)
@option(
    "--listen",
    "Where the proxy listens; 127.0.0.1:8080 by default, or a free port where that is taken.",
    "demo",
    metavar="HOST:PORT",
)
def command(once: bool, listen: str | None) -> int:
    """Show one request before and after its signature, then serve until Ctrl-C.

    Needs no account and no file: the keys are made up, and the API is a sandbox in this process
    that verifies every signature.
    """
    require_c_parser()
    address = None if listen is None else _checked_address(listen)
    # Imported here, so that a wrong flag is told before the server's imports are paid.
    from ovh_proxy.cli.terminal import console
    from ovh_proxy.sandbox.api import Sandbox

    where = Listen(address or _DEFAULT, may_move=address is None)
    return asyncio.run(show_and_serve(Sandbox(), where, once, console()))


def _checked_address(text: str) -> TcpAddress:
    try:
        address = parse_tcp(text)
    except ValueError as failure:
        raise UsageError(f"--listen {text}: {failure}") from failure
    if is_exposed(address):
        raise UsageError(f"--listen {text}: the demonstration is for this machine alone")
    return address
