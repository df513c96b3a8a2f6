"""`ovh-proxy demo`: shows the proxy at work on made-up keys, before a sandbox."""

import asyncio
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
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
    from ovh_proxy.server.serve import Announcement, ShutdownRequest


_RESPONSE_S = 10.0
_WIDTH = 72
_SANDBOX_KEYS = frozenset({b"X-Ovh-Application", b"X-Ovh-Consumer"})
_CONTENT_LENGTH = re.compile(r"(?im)^content-length: *(\d+)\r$")
# A line of text and its style on a terminal.
Line = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class DemoCall:
    """One call, as the client, the API and the client again see it.

    Attributes:
        request: the lines of the request that the client sends to the proxy.
        received: the request that the API receives.
        status: the status line of the response.
        body: the body of the response.
    """

    request: tuple[str, ...]
    received: "ReceivedRequest"
    status: str
    body: str

    @property
    def is_accepted(self) -> bool:
        """Whether the API accepted the signature."""
        return self.received.verdict.startswith("signed by ")


async def call_me(url: str, sandbox: "Sandbox") -> DemoCall:
    """Sends `GET /me` through the proxy at a URL to the sandbox behind it.

    Raises:
        CommandFailed: the call did not reach the sandbox, or the proxy did not respond.
    """
    host = urlsplit(url).netloc
    request = ("GET /me HTTP/1.1", f"Host: {host}", "User-Agent: ovh-proxy-demo", "Accept: */*")
    try:
        async with asyncio.timeout(_RESPONSE_S):
            status, body = await _exchange(url, "\r\n".join(request) + "\r\n\r\n")
    except (OSError, EOFError, ValueError) as failure:
        raise CommandFailed(f"the demo failed: the proxy at {url} did not respond") from failure
    received = [each for each in sandbox.requests if each.target == b"/1.0/me"]
    if not received:
        raise CommandFailed(f"the demo failed: the proxy responded {status}")
    return DemoCall(request, received[-1], status, body)


async def _exchange(url: str, request: str) -> tuple[str, str]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request.encode("ascii"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = _CONTENT_LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
        await writer.wait_closed()
    return head.partition("\r\n")[0], body.decode("utf-8", "replace")


def report(
    call: DemoCall, proxy: str, sandbox: str, once: bool, note: str | None
) -> Iterator[Line]:
    """The lines that the demo prints.

    Args:
        proxy: the proxy's URL.
        sandbox: the sandbox's URL.
        note: a remark about the proxy's address.
    """
    yield "ovh-proxy demo: real HTTP on this machine; only the keys are made up.", "bold"
    if note:
        yield note, "yellow"
    yield from _heading(1, f"Request to the proxy at {proxy}: no key, no signature")
    yield from ((f"   {line}", None) for line in call.request)
    yield from _heading(2, f"Request from the proxy to the API, here a sandbox at {sandbox}")
    yield from _request(call.received)
    verdict = call.received.verdict
    result = "signature accepted" if call.is_accepted else f"signature NOT accepted ({verdict})"
    yield from _heading(3, f"Response of the API: {result}", "green" if call.is_accepted else "red")
    yield f"   {safe(call.status)}", None
    yield from ((f"   {line}", None) for line in _folded(safe(call.body)))
    yield from _hint() if once else _examples(proxy)


def _folded(text: str) -> Iterator[str]:
    """JSON wrapped after commas."""
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
        is_added = name.startswith(b"X-Ovh-")
        text = f"   {safe(name.decode('latin-1'))}: {safe(value.decode('latin-1'))}"
        label = "  (made up)" if name in _SANDBOX_KEYS else ""
        yield text + label, "green" if is_added else None


def _hint() -> Iterator[Line]:
    yield "", None
    yield "Without --once, the proxy keeps running for your own curl.", None


def _examples(proxy: str) -> Iterator[Line]:
    yield from _heading(4, "Your turn, in another terminal")
    yield from ((f"   {line.format(proxy=proxy)}", None) for line in _EXAMPLE_COMMANDS)
    yield "", None
    yield "With your own keys: ovh-proxy run.  Press Ctrl-C to stop.", "bold"


_EXAMPLE_COMMANDS = (
    "curl {proxy}/me/bill",
    "curl {proxy}/domain/zone/example.org/record \\",
    """     -d '{{"fieldType":"TXT","subDomain":"caf\u00e9","target":"bient\u00f4t"}}'""",
    "curl {proxy}/@robot/me        # a service account: OAuth2 token",
    "curl {proxy}/-/profiles       # a route of the proxy; see also /-/readyz",
    "curl {proxy}/-/metrics",
    "curl -X DELETE {proxy}/me     # rejected: no access rule grants it",
)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address, and whether any free port is used if its port is taken."""

    address: TcpAddress
    falls_back: bool


async def run_demo(
    sandbox: "Sandbox", listen: ListenAddress, once: bool, console: "Console"
) -> int:
    """Starts sandbox and proxy, prints one call, and serves until stopped; returns the exit code.

    Args:
        sandbox: not started yet.

    Raises:
        ListenFailed: the proxy cannot listen on the address.
        CommandFailed: the call failed.
    """
    # Imported here, so that `--help` and usage errors do not wait for the server's imports.
    from ovh_proxy.logs import Log
    from ovh_proxy.server.serve import ShutdownRequest, handle_signals

    stop, stream = ShutdownRequest(), _DeferredStderr()
    handle_signals(stop)
    async with sandbox:
        settings = Settings(store=demo_store(sandbox.base_url, sandbox.token_url))
        announcement, serving = await _start(settings, listen, Log("info", "text", stream), stop)
        proxy = announcement.url
        try:
            call = await call_me(proxy, sandbox)
            note = None
            if listen.falls_back and urlsplit(proxy).port != listen.address.port:
                note = f"Port {listen.address.port} is in use; the proxy uses a free port instead."
            for text, style in report(call, proxy, sandbox.url, once, note):
                console.print(text, style=style, markup=False)
            if not once:
                stream.is_open = True
                await stop.requested.wait()
        finally:
            if not stop.requested.is_set():
                stop()  # a second call would cut requests short
            clean = await serving
    return exit_code(clean, stop.signal) if call.is_accepted or not once else 1


class _DeferredStderr(io.StringIO):
    """Standard error that drops what is written before it is open: the log of the demo's call."""

    is_open = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.is_open else len(text)

    def flush(self) -> None:
        sys.stderr.flush()


async def _start(
    settings: Settings, listen: ListenAddress, log: "Log", stop: "ShutdownRequest"
) -> tuple["Announcement", asyncio.Task[bool]]:
    from ovh_proxy.server.serve import start_serving

    def listening_on(address: TcpAddress) -> Settings:
        return replace(settings, listen=(Listener(address),))

    try:
        return await start_serving(listening_on(listen.address), log, stop)
    except ListenFailed:
        if not listen.falls_back:
            raise
        free_port = replace(listen.address, port=0)
        return await start_serving(listening_on(free_port), log, stop)


_DEFAULT = TcpAddress("127.0.0.1", 8080)


@click.command("demo")
@option("--once", "Exit after printing the call.", "demo", is_flag=True)
@option(
    "--listen",
    "Address to listen on; by default 127.0.0.1:8080, or any free port if it is in use.",
    "demo",
    metavar="HOST:PORT",
)
def command(once: bool, listen: str | None) -> int:
    """Show one request before and after it is signed, then serve until Ctrl-C.

    Needs no account and no files: the keys are made up, and the API is a sandbox in this process
    that verifies every signature.
    """
    require_c_parser()
    address = None if listen is None else _checked_address(listen)
    # Imported here, so that a wrong flag fails before the server is imported.
    from ovh_proxy.cli.terminal import console
    from ovh_proxy.sandbox.api import Sandbox

    listen_address = ListenAddress(address or _DEFAULT, falls_back=address is None)
    return asyncio.run(run_demo(Sandbox(), listen_address, once, console()))


def _checked_address(text: str) -> TcpAddress:
    try:
        address = parse_tcp(text)
    except ValueError as failure:
        raise UsageError(f"--listen {text}: {failure}") from failure
    if is_exposed(address):
        raise UsageError(
            f"--listen {text}: demo listens only on addresses of this machine, such as 127.0.0.1"
        )
    return address
