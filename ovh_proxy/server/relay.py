"""Streams an upstream response back to the client."""

import asyncio

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.headers import response_headers
from ovh_proxy.core.messages import Headers
from ovh_proxy.core.route import Route, local_location
from ovh_proxy.server.connection import ClientConnection
from ovh_proxy.server.exchange import Exchange
from ovh_proxy.server.reply import connection_option, head_bytes
from ovh_proxy.upstream.incoming import Incoming

_LAST_CHUNK = b"0\r\n\r\n"


class AnswerCut(Exception):
    """The answer had begun and cannot be ended well: the client's connection is aborted."""


async def relay(
    incoming: Incoming,
    headers: Headers,
    connection: ClientConnection,
    exchange: Exchange,
    *,
    is_http_1_0: bool,
    keep_alive: bool,
) -> bool:
    """Writes the answer to the client as it comes.

    Args:
        headers: the answer's headers that go on to the client.
        keep_alive: whether the client's connection may serve another request.

    Returns:
        whether it still may: an answer that ends with the connection ends it.

    Raises:
        UpstreamFailed: OVHcloud broke off before a byte of the answer was written.
        AnswerCut: it did so later, or the client took nothing for too long.
    """
    head = incoming.head
    has_body = exchange.method != "HEAD" and head.status not in (204, 304)
    is_chunked = has_body and head.header(b"content-length") is None
    if is_chunked and is_http_1_0:
        is_chunked, keep_alive = False, False
    if is_chunked:
        headers = (*headers, (b"Transfer-Encoding", b"chunked"))
    option = connection_option(keep_alive=keep_alive, is_http_1_0=is_http_1_0)
    start = head_bytes(head.status, head.reason, headers, exchange.request_id, option)
    try:
        await _stream(start, incoming, connection, exchange, is_chunked)
    except UpstreamFailed as failure:
        if not exchange.has_begun:
            raise
        exchange.code = failure.code
        raise AnswerCut from failure
    finally:
        if exchange.has_begun:
            exchange.status = head.status
    return keep_alive


async def _stream(
    start: bytes,
    incoming: Incoming,
    connection: ClientConnection,
    exchange: Exchange,
    is_chunked: bool,
) -> None:
    # What has come by now goes out with the head in one write: a small answer is one packet.
    incoming.raise_if_broken()
    pieces = [start]
    body = b"".join(incoming.take())
    pieces += _framed(body, is_chunked)
    while not incoming.is_complete:
        _write(connection, b"".join(pieces), exchange)
        await _drain(connection)
        body = await incoming.read()
        pieces = _framed(body, is_chunked)
    rest = b"".join(incoming.take())
    pieces += _framed(rest, is_chunked)
    if is_chunked:
        pieces.append(_LAST_CHUNK)
    _write(connection, b"".join(pieces), exchange)
    await _drain(connection)


def _framed(body: bytes, is_chunked: bool) -> list[bytes]:
    if not body:
        return []
    return [b"%x\r\n" % len(body), body, b"\r\n"] if is_chunked else [body]


def _write(connection: ClientConnection, text: bytes, exchange: Exchange) -> None:
    if not text:
        return
    connection.write(text)
    exchange.has_begun = True
    exchange.sent_bytes += len(text)


async def _drain(connection: ClientConnection) -> None:
    if not connection.writing_paused:
        return
    try:
        async with asyncio.timeout(connection.write_timeout):
            await connection.drain()
    except TimeoutError:
        raise AnswerCut from None


def relayed_headers(
    incoming: Incoming, route: Route, proxy_origin: str, hint: str | None
) -> Headers:
    """The answer's headers as the client gets them: `Location` leads back to us."""
    headers = response_headers(incoming.head.headers)
    if incoming.head.header(b"location") is not None:
        headers = tuple(
            (name, _local(value, route, proxy_origin) if name.lower() == b"location" else value)
            for name, value in headers
        )
    if hint is not None:
        headers = (*headers, (b"X-Ovh-Proxy-Hint", hint.encode("ascii", "replace")))
    return headers


def _local(location: bytes, route: Route, proxy_origin: str) -> bytes:
    return local_location(location.decode("latin-1"), route, proxy_origin).encode("latin-1")
