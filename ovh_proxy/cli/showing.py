"""One request through the proxy, shown before and after its signature."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ovh_proxy.cli.terminal import safe
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.call import ReceivedRequest

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
    received: ReceivedRequest
    status: str
    body: str

    @property
    def is_accepted(self) -> bool:
        """Whether the API found the signature right."""
        return self.received.verdict.startswith("signed by ")


async def ask(url: str, sandbox: Sandbox) -> Shown:
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


def _request(received: ReceivedRequest) -> Iterator[Line]:
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
