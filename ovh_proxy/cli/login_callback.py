"""The browser: opened at the validation page, and the loopback page that it comes back to."""

import asyncio
import os
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


def has_browser(environ: Mapping[str, str]) -> bool:
    """Whether a graphical browser can be expected; a text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin"):  # pragma: no cover - always
        return True
    return any(environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Opens a page in the browser; returns whether there is one."""
    if not has_browser(os.environ):
        return False
    # Some browsers only return when they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return True


_HOST = "127.0.0.1"
_MAX_HEAD = 16_384
# Long enough for a redirect; short enough for a user who validated on another machine.
_REDIRECT_S = 3.0
_TIMEOUT_S = 10.0

_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ovh-proxy</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto}</style></head>
<body><h1>You can close this tab</h1>
<p>OVHcloud has redirected you here. Check the terminal for the result.</p></body></html>
"""

_RESPONSES = {
    200: (b"200 OK", _PAGE),
    400: (b"400 Bad Request", b"<!DOCTYPE html><title>Bad Request</title>\n"),
    403: (b"403 Forbidden", b"<!DOCTYPE html><title>Forbidden</title>\n"),
    404: (b"404 Not Found", b"<!DOCTYPE html><title>Not Found</title>\n"),
    405: (b"405 Method Not Allowed", b"<!DOCTYPE html><title>Method Not Allowed</title>\n"),
}


@dataclass(slots=True)
class ReturnPage:
    """A page on a loopback port, for the redirect after validation.

    Attributes:
        url: None if the port could not be bound.
        came_back: set at each visit. A visit proves nothing; it only says that it is worth
            looking at the key now.
    """

    port: int = 0
    came_back: asyncio.Event = field(default_factory=asyncio.Event)
    was_visited: bool = False

    @property
    def url(self) -> str | None:
        return f"http://{_HOST}:{self.port}/" if self.port else None

    async def wait_for_browser(self) -> None:
        """Waits for the redirect, which may come after we saw that the key is decided."""
        if self.port and not self.was_visited:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.came_back.wait(), _REDIRECT_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Responds to one request and closes the connection."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                status = self._status_of(await reader.readuntil(b"\r\n\r\n"))
                writer.write(_response(status))
                await writer.drain()
            if status == 200:
                self.was_visited = True
                self.came_back.set()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a browser
        finally:
            writer.close()

    def _status_of(self, head: bytes) -> int:
        request_line, *lines = head.split(b"\r\n")
        parts = request_line.split(b" ")
        if len(parts) != 3:
            return 400
        method, target, _ = parts
        fields = (line.partition(b":") for line in lines)
        hosts = [value.strip().lower() for name, _, value in fields if name.lower() == b"host"]
        # Against DNS rebinding: a foreign site may have its name resolve to this machine.
        if hosts not in ([f"{name}:{self.port}".encode()] for name in (_HOST, "localhost")):
            return 403
        if target.partition(b"?")[0] != b"/":
            return 404
        return 200 if method == b"GET" else 405


def _response(status: int) -> bytes:
    reason, page = _RESPONSES[status]
    headers = (
        b"Content-Type: text/html; charset=utf-8",
        b"Content-Length: %d" % len(page),
        b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        b"Referrer-Policy: no-referrer",
        b"Cache-Control: no-store",
        b"Connection: close",
    )
    return b"HTTP/1.1 " + b"\r\n".join((reason, *headers, b"", page))


@asynccontextmanager
async def return_page(port: int | None) -> AsyncIterator[ReturnPage]:
    """Serves the page until the end of the block.

    Args:
        port: 0 for a free port; None to serve nothing.
    """
    page = ReturnPage()
    if port is None:
        yield page
        return
    try:
        server = await asyncio.start_server(page.serve, _HOST, port, limit=_MAX_HEAD)
    except OSError:  # the port is in use: polling every two seconds still works
        yield page
        return
    page.port = server.sockets[0].getsockname()[1]
    async with server:
        yield page
