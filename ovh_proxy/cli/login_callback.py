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
    """Whether a browser of its own window can be expected; text browsers would take ours."""
    if sys.platform in ("win32", "darwin"):  # pragma: no cover - they always have one
        return True
    return any(environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Opens a page; whether there was anything to open it with."""
    if not has_browser(os.environ):
        return False
    # Some of them return only once they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return True


_HOST = "127.0.0.1"

_MAX_HEAD = 16_384

# Long enough for a redirection, short enough for one who validated on another machine.
_FAREWELL_S = 3.0

_LIMIT_S = 10.0


_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ovh-proxy</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto}</style></head>
<body><h1>You can close this tab</h1>
<p>OVHcloud has sent you back. What has become of the key, the terminal tells.</p></body></html>
"""

_ANSWERS = {
    200: (b"200 OK", _PAGE),
    400: (b"400 Bad Request", b"<!DOCTYPE html><title>Bad Request</title>\n"),
    403: (b"403 Forbidden", b"<!DOCTYPE html><title>Forbidden</title>\n"),
    404: (b"404 Not Found", b"<!DOCTYPE html><title>Not Found</title>\n"),
    405: (b"405 Method Not Allowed", b"<!DOCTYPE html><title>Method Not Allowed</title>\n"),
}


@dataclass(slots=True)
class ReturnPage:
    """One page on a loopback port.

    Attributes:
        url: where the browser is to be sent; None where no port could be had.
        came_back: set at each visit; it proves nothing, and is only worth a look.
        was_visited: whether there was one.
    """

    port: int = 0
    came_back: asyncio.Event = field(default_factory=asyncio.Event)
    was_visited: bool = False

    @property
    def url(self) -> str | None:
        return f"http://{_HOST}:{self.port}/" if self.port else None

    async def see_off(self) -> None:
        """Stays for the browser that is still on its way: the key was seen to be decided first."""
        if self.port and not self.was_visited:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.came_back.wait(), _FAREWELL_S)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the connection's end."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                status = self._judge(await reader.readuntil(b"\r\n\r\n"))
                writer.write(_response(status))
                await writer.drain()
            if status == 200:
                self.was_visited = True
                self.came_back.set()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was, it was no browser
        finally:
            writer.close()

    def _judge(self, head: bytes) -> int:
        request_line, *lines = head.split(b"\r\n")
        words = request_line.split(b" ")
        if len(words) != 3:
            return 400
        method, target, _ = words
        named = (line.partition(b":") for line in lines)
        hosts = [value.strip().lower() for name, _, value in named if name.lower() == b"host"]
        # A page anywhere may have a name of its own resolve to this machine.
        if hosts not in ([f"{name}:{self.port}".encode()] for name in (_HOST, "localhost")):
            return 403
        if target.partition(b"?")[0] != b"/":
            return 404
        return 200 if method == b"GET" else 405


def _response(status: int) -> bytes:
    reason, page = _ANSWERS[status]
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
        port: 0 chooses; None serves none.
    """
    page = ReturnPage()
    if port is None:
        yield page
        return
    try:
        listening = await asyncio.start_server(page.answer, _HOST, port, limit=_MAX_HEAD)
    except OSError:  # taken meanwhile: without it there is still the asking every two seconds
        yield page
        return
    page.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield page
