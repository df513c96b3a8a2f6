"""Answers that break off, or never were HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from ovh_proxy.sandbox.http_server import chunk, head, length_of, pieces_of
from ovh_proxy.sandbox.responses import Headers, Response, Verbatim

# As a TLS server answers that was asked in plain text.
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n"


async def nothing(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends without a byte."""


async def garbage(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """Something that is no HTTP."""
    await request.writer.write(GARBAGE)


async def half_head(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends within the headers."""
    whole = head(answer, common, keep_alive=True)
    await request.writer.write(whole[: len(whole) // 2])


async def half_body(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends after half of the promised length."""
    length = length_of(answer) or 0
    await request.writer.write(head(answer, common, keep_alive=True))
    async for piece in first_bytes(answer, length // 2):
        await request.writer.write(piece)


async def half_chunk(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends within the first chunk of a chunked body."""
    chunked = Response(answer.status, pieces=pieces_of(answer), headers=answer.headers)
    await request.writer.write(head(chunked, common, keep_alive=True))
    async for piece in pieces_of(answer):
        await request.writer.write(chunk(piece)[: -(len(piece) // 2) - len(b"\r\n")])
        return


async def first_bytes(answer: Response, count: int) -> AsyncIterator[bytes]:
    """So many bytes of the body."""
    async for piece in pieces_of(answer):
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


Break = Callable[[web.BaseRequest, Response, Headers], Awaitable[None]]

BREAKS: dict[str, Break] = {
    "before-head": nothing,
    "head": half_head,
    "body": half_body,
    "chunk": half_chunk,
    "": garbage,  # the fault that takes no value
}


async def send_broken(
    how: str, request: web.BaseRequest, answer: Response | Verbatim, common: Headers
) -> None:
    """Breaks an answer; whoever calls this ends the connection."""
    whole = Response(body=answer.raw) if isinstance(answer, Verbatim) else answer
    await BREAKS[how](request, whole, common)
