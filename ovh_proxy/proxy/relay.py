"""Streams an upstream response back to the client."""

import asyncio
import time

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.response import connection_option, head_bytes
from ovh_proxy.ovhcloud.messages import Headers
from ovh_proxy.policy.routing import Route, local_location
from ovh_proxy.upstream.response import UpstreamResponse

_LAST_CHUNK = b"0\r\n\r\n"


class ResponseAborted(Exception):
    """The response has started and cannot be completed: the client's connection is aborted."""


async def relay(
    incoming: UpstreamResponse,
    headers: Headers,
    connection: ClientConnection,
    exchange: Exchange,
    *,
    is_http_1_0: bool,
    keep_alive: bool,
) -> bool:
    """Writes the response to the client as it arrives.

    Args:
        headers: of the response to the client.
        keep_alive: whether the client's connection may serve another request.

    Returns:
        whether it still may: a response that is delimited by the connection's end closes it.

    Raises:
        UpstreamFailed: OVHcloud broke off before a byte of the response was written.
        ResponseAborted: it did so later, or the client read nothing for too long.
    """
    head = incoming.head
    has_body = exchange.method != "HEAD" and head.status not in (204, 304)
    is_chunked = has_body and b"content-length" not in head.keys
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
        raise ResponseAborted from failure
    finally:
        if exchange.has_begun:
            exchange.status = head.status
    return keep_alive


async def _stream(
    start: bytes,
    incoming: UpstreamResponse,
    connection: ClientConnection,
    exchange: Exchange,
    is_chunked: bool,
) -> None:
    # What has arrived by now is written with the head: a small response is one packet.
    incoming.raise_if_broken()
    pieces = [start, *_framed(incoming.take(), is_chunked, exchange)]
    was_all = incoming.is_complete
    while not incoming.is_complete:
        _write(connection, pieces, exchange)
        if connection.writing_paused:
            await _drain(connection, exchange)
        pieces = _framed([await incoming.read()], is_chunked, exchange)
    if not was_all:
        pieces += _framed(incoming.take(), is_chunked, exchange)
    if is_chunked:
        pieces.append(_LAST_CHUNK)
    _write(connection, pieces, exchange)
    if connection.writing_paused:
        await _drain(connection, exchange)


def _framed(pieces: list[bytes], is_chunked: bool, exchange: Exchange) -> list[bytes]:
    size = sum(map(len, pieces))
    exchange.response_body_bytes += size
    return [b"%x\r\n" % size, *pieces, b"\r\n"] if is_chunked and size else pieces


def _write(connection: ClientConnection, pieces: list[bytes], exchange: Exchange) -> None:
    text = b"".join(pieces)
    if text:
        connection.write(text)
        exchange.has_begun = True
        exchange.sent_bytes += len(text)


async def _drain(connection: ClientConnection, exchange: Exchange) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(connection.write_timeout):
            await connection.drain()
    except TimeoutError:
        raise ResponseAborted from None
    finally:
        exchange.waited_s += time.monotonic() - began


def with_local_locations(headers: Headers, route: Route, proxy_origin: str) -> Headers:
    """Returns the headers with a `Location` that points to the proxy."""
    return tuple(
        (name, _local(value, route, proxy_origin) if name.lower() == b"location" else value)
        for name, value in headers
    )


def _local(location: bytes, route: Route, proxy_origin: str) -> bytes:
    return local_location(location.decode("latin-1"), route, proxy_origin).encode("latin-1")
