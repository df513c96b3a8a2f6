"""Reads requests and writes answers, byte for byte, adding no header of a library's."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web

from ovh_proxy.sandbox.received import ReceivedRequest
from ovh_proxy.sandbox.responses import Headers, Response, Verbatim

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
