"""aiohttp's low-level server under the API: requests and responses byte for byte."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from ovh_proxy.sandbox.call import ReceivedRequest
from ovh_proxy.sandbox.responses import Headers, Response, Verbatim

# Large enough that tests never hit the sandbox's limits.
LINE_BYTES = 262_144
HEADERS = 1024
# How long `stop` waits for requests in flight, in seconds.
GRACE = 0.05
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Passes every request to one handler, including `OPTIONS *` and paths with `%2F`."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self._host = "127.0.0.1"
        self._handler = handler
        self._tls = tls
        self._server: web.Server | None = None
        self._sockets: asyncio.Server | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self, host: str, port: int) -> None:
        """Starts listening; port 0 picks a free port.

        Raises:
            OSError: the address cannot be bound.
        """
        server = web.Server(
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
        self._sockets = await loop.create_server(server, host, port, ssl=self._tls)
        self._server, self._host = server, host
        self.port = self._sockets.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        if self._sockets is None or self._server is None:
            return
        self._sockets.close()
        self._server.pre_shutdown()
        await self._server.shutdown(GRACE)
        await self._sockets.wait_closed()
        self._sockets = self._server = None


def silent_logger() -> logging.Logger:
    """A logger that discards everything, for example clients that disconnect."""
    # Outside the logger tree, so that no root handler receives its records.
    logger = logging.Logger("ovh_proxy.sandbox")  # noqa: LOG001 - see above
    logger.addHandler(logging.NullHandler())
    return logger


REASONS = {460: "Expired"}
BODYLESS = frozenset({204, 304})


class Written(web.StreamResponse):
    """Tells aiohttp that the response was already written, and whether to keep the connection."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Does nothing: the head is already written."""

    async def write_eof(self, data: object = b"") -> None:
        """Does nothing: the body is already written."""


async def receive(request: web.BaseRequest) -> ReceivedRequest:
    """The whole request; if it breaks off within the body, its verdict is `incomplete`."""
    verdict = "unsigned"
    body = bytearray()
    if request.headers.get("Expect", "").lower() == "100-continue":
        # aiohttp's low-level server leaves this to the handler; curl waits a second for it.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async for piece in request.content.iter_any():
            body += piece
    except (ConnectionError, web.RequestPayloadError, asyncio.CancelledError):
        verdict = "incomplete"
    return ReceivedRequest(
        method=request.method,
        # Reverses aiohttp's decoding, which gives the original bytes.
        target=request.raw_path.encode("utf-8", "surrogateescape"),
        version=f"{request.version.major}.{request.version.minor}",
        headers=request.raw_headers,
        body=bytes(body),
        verdict=verdict,
    )


async def send(request: web.BaseRequest, response: Response | Verbatim, common: Headers) -> bool:
    """Writes a response; returns whether the connection can serve another request."""
    if isinstance(response, Verbatim):
        await request.writer.write(response.raw)
        return request.keep_alive and not response.is_last
    knows_chunks = request.version.minor > 0
    is_bodyless = request.method == "HEAD" or response.status in BODYLESS
    keep_alive = request.keep_alive and (length_of(response) is not None or knows_chunks)
    opening = response.before + head(
        response, common, keep_alive=keep_alive, knows_chunks=knows_chunks
    )
    if is_bodyless or response.pieces is None:
        await request.writer.write(opening + (b"" if is_bodyless else response.body))
        return keep_alive
    await request.writer.write(opening)
    is_chunked = response.length is None and knows_chunks
    async for piece in response.pieces:
        await request.writer.write(chunk(piece) if is_chunked else piece)
    if is_chunked:
        await request.writer.write(chunk(b""))
    return keep_alive


def head(
    response: Response, common: Headers, *, keep_alive: bool, knows_chunks: bool = True
) -> bytes:
    """Status line and headers, with the empty line."""
    length = length_of(response)
    headers = [*common]
    if response.status not in BODYLESS:
        headers.append(("Content-Type", response.content_type))
        if length is not None:
            headers.append(("Content-Length", str(length)))
        elif knows_chunks:
            headers.append(("Transfer-Encoding", "chunked"))
    if not keep_alive:
        headers.append(("Connection", "close"))
    elif not knows_chunks:
        headers.append(("Connection", "keep-alive"))
    return head_bytes(response.status, reason(response.status), (*headers, *response.headers))


def head_bytes(status: int, phrase: str, headers: Headers) -> bytes:
    """A response head with exactly these headers."""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reason(status: int) -> str:
    """The reason phrase of a status."""
    known = status in HTTPStatus.__members__.values()
    return HTTPStatus(status).phrase if known else REASONS.get(status, "Unknown")


def length_of(response: Response) -> int | None:
    """The length of the body in bytes, or None if it is not known in advance."""
    return len(response.body) if response.pieces is None else response.length


def chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


async def pieces_of(response: Response) -> AsyncIterator[bytes]:
    """The body in pieces."""
    if response.pieces is None:
        yield response.body
    else:
        async for piece in response.pieces:
            yield piece
