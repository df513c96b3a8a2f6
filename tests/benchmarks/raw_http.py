"""Minimal HTTP for the body scenes: encodes requests, reads response heads, counts body bytes."""

import socket
import time
from collections.abc import Iterable

from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER

TIMEOUT_S = 60.0
BODY_S = 120.0
PIECE = 1 << 18


def request(method: str, target: str, port: int, lines: Iterable[str] = ()) -> bytes:
    """The encoded head of a request on a kept connection."""
    fixed = (f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", ": ".join(TOKEN_HEADER))
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def connect(port: int, receive_buffer: int | None = None) -> socket.socket:
    """A connection, with a receive buffer of the given size."""
    connection = socket.socket()
    connection.settimeout(TIMEOUT_S)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", port))
    return connection


def read_head(connection: socket.socket) -> tuple[int, int]:
    """Reads the head of a response.

    Returns:
        Its Content-Length, and the number of body bytes that arrived with it.

    Raises:
        CannotMeasureError: it is not a 200 with a Content-Length.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            raise CannotMeasureError(
                f"the connection was closed within the head: {received[:200]!r}"
            )
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and head.startswith(b"HTTP/1.1 200 "):
            return int(value), len(body)
    raise CannotMeasureError(f"not a 200 with a Content-Length: {received[:500]!r}")


def read_body(connection: socket.socket, length: int, arrived: int) -> None:
    """Reads the rest of a body and discards it.

    Raises:
        CannotMeasureError: the body ended early, or takes too long.
    """
    buffer, deadline = bytearray(PIECE), time.monotonic() + BODY_S
    while arrived < length:
        count = connection.recv_into(buffer)
        if count == 0:
            raise CannotMeasureError(f"the body ended after {arrived} of {length} bytes")
        if time.monotonic() > deadline:
            raise CannotMeasureError(f"only {arrived} of {length} bytes in {BODY_S:g} s")
        arrived += count
