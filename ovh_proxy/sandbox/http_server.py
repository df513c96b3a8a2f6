"""aiohttp's low-level server under the API: requests and responses byte for byte."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from ovh_proxy.sandbox.call import ReceivedRequest
from ovh_proxy.sandbox.responses import Headers, Response, Verbatim

# Wide enough that a limit that a test meets is never the sandbox's.
LINE_BYTES = 262_144

HEADERS = 1024

# How long `stop` waits for a request in flight, in seconds.
GRACE = 0.05


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Hands every request to one handler: `OPTIONS *` and paths with `%2F` too."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self._host = "127.0.0.1"
        self._handler = handler
        self._tls = tls
        self._front: web.Server | None = None
        self._sockets: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self, host: str, port: int) -> None:
        """Listens; port 0 chooses one.

        Raises:
            OSError: when the address cannot be bound.
        """
        front = web.Server(
            self._handler,
            handler_cancellation=True,
            access_log=None,
            logger=silent_logger(),
            auto_decompress=False,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
        )
        loop = asyncio.get_running_loop()
        self._sockets = await loop.create_server(front, host, port, ssl=self._tls)
        self._front, self._host = front, host
        self.port = self._sockets.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        if self._sockets is None or self._front is None:
            return
        self._sockets.close()
        self._front.pre_shutdown()
        await self._front.shutdown(GRACE)
        await self._sockets.wait_closed()
        self._sockets = self._front = None


def silent_logger() -> logging.Logger:
    """A logger outside the tree: a client that goes away is no news here."""
    # In the tree, somebody's root handler would hear it all the same.
    logger = logging.Logger("ovh_proxy.sandbox")  # noqa: LOG001 - see above
    logger.addHandler(logging.NullHandler())
    return logger


REASONS = {460: "Expired"}

BODYLESS = frozenset({204, 304})


class Written(web.StreamResponse):
    """Tells aiohttp that the answer is on the wire already, and whether the connection stays."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing: the head was written."""

    async def write_eof(self, data: object = b"") -> None:
        """Nothing: the body was written."""


async def receive(request: web.BaseRequest) -> ReceivedRequest:
    """The whole request. One that breaks off within its body says so in its verdict."""
    verdict = "unsigned"
    body = bytearray()
    if request.headers.get("Expect", "").lower() == "100-continue":
        # The low-level server leaves this to its handler; curl waits a second for it.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async for piece in request.content.iter_any():
            body += piece
    except (ConnectionError, web.RequestPayloadError, asyncio.CancelledError):
        verdict = "incomplete"
    return ReceivedRequest(
        method=request.method,
        # The parser decodes so; undoing it gives the bytes that came.
        target=request.raw_path.encode("utf-8", "surrogateescape"),
        version=f"{request.version.major}.{request.version.minor}",
        headers=request.raw_headers,
        body=bytes(body),
        verdict=verdict,
    )


async def send(request: web.BaseRequest, answer: Response | Verbatim, common: Headers) -> bool:
    """Writes an answer; tells whether the connection can serve another request."""
    if isinstance(answer, Verbatim):
        await request.writer.write(answer.raw)
        return request.keep_alive and not answer.is_last
    knows_chunks = request.version.minor > 0
    is_bodyless = request.method == "HEAD" or answer.status in BODYLESS
    keep_alive = request.keep_alive and (length_of(answer) is not None or knows_chunks)
    opening = answer.before + head(answer, common, keep_alive=keep_alive, knows_chunks=knows_chunks)
    if is_bodyless or answer.pieces is None:
        await request.writer.write(opening + (b"" if is_bodyless else answer.body))
        return keep_alive
    await request.writer.write(opening)
    is_chunked = answer.length is None and knows_chunks
    async for piece in answer.pieces:
        await request.writer.write(chunk(piece) if is_chunked else piece)
    if is_chunked:
        await request.writer.write(chunk(b""))
    return keep_alive


def head(
    answer: Response, common: Headers, *, keep_alive: bool, knows_chunks: bool = True
) -> bytes:
    """Status line and headers, the blank line included."""
    length = length_of(answer)
    headers = [*common]
    if answer.status not in BODYLESS:
        headers.append(("Content-Type", answer.content_type))
        if length is not None:
            headers.append(("Content-Length", str(length)))
        elif knows_chunks:
            headers.append(("Transfer-Encoding", "chunked"))
    if not keep_alive:
        headers.append(("Connection", "close"))
    elif not knows_chunks:
        headers.append(("Connection", "keep-alive"))
    return head_bytes(answer.status, reason(answer.status), (*headers, *answer.headers))


def head_bytes(status: int, phrase: str, headers: Headers) -> bytes:
    """A head with exactly these headers."""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reason(status: int) -> str:
    """The reason phrase of a status."""
    known = status in HTTPStatus.__members__.values()
    return HTTPStatus(status).phrase if known else REASONS.get(status, "Unknown")


def length_of(answer: Response) -> int | None:
    """The length of the body in bytes, as far as it is known ahead."""
    return len(answer.body) if answer.pieces is None else answer.length


def chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


async def pieces_of(answer: Response) -> AsyncIterator[bytes]:
    """The body in pieces, however it was given."""
    if answer.pieces is None:
        yield answer.body
    else:
        async for piece in answer.pieces:
            yield piece
