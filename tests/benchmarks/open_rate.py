"""Open-loop load: sends requests on schedule, whether or not the previous one was answered.

Run as `open_rate.py PORT TARGET RATE SECONDS 'NAME: VALUE'`; prints the percentiles as JSON.
"""

import ctypes
import gc
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from typing import Self

WARM_S = 0.5
# If more requests than this are unanswered, the contender cannot keep up with the rate.
MAX_OPEN = 500
_LAST_ANSWER_S = 5.0
_PR_SET_TIMERSLACK = 29


def percentile(values: Sequence[float], part: float) -> float:
    """The nearest-rank percentile: the value that this share of the values does not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * part // 1)
    return ordered[max(0, int(rank) - 1)]


def is_complete(received: bytes) -> bool:
    """Whether `received` is a complete response with a Content-Length.

    Raises:
        ValueError: the status is not 200.
    """
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head.partition(b"\r\n")[0].decode("latin-1"))
    lines = head.lower().split(b"\r\n")
    length = next(line for line in lines if line.startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


class OpenLoad:
    """Sends on schedule, and records the time from the due time to the response."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._idle: list[socket.socket] = []
        self._due: dict[socket.socket, float] = {}
        self._received: dict[socket.socket, bytes] = {}
        self.latencies: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._idle, *self._due):
            connection.close()

    def run(self, rate: float, seconds: float) -> None:
        """Sends all requests and waits for the last response."""
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            while (left := due - time.perf_counter()) > 0:
                self._take(left)
            self._send(due)
        deadline = time.perf_counter() + _LAST_ANSWER_S
        while self._due and (left := deadline - time.perf_counter()) > 0:
            self._take(left)
        if self._due:
            raise ValueError(f"{len(self._due)} requests were never answered")

    def _send(self, due: float) -> None:
        if len(self._due) >= MAX_OPEN:
            raise ValueError(f"{MAX_OPEN} requests unanswered: it cannot keep up with the rate")
        connection = self._idle.pop() if self._idle else self._connect()
        self._due[connection] = due
        self._received[connection] = b""
        connection.send(self._request)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), 5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _take(self, wait_s: float) -> None:
        # select has a resolution of microseconds, epoll of milliseconds.
        for connection in select.select(list(self._due), [], [], wait_s)[0]:
            piece = connection.recv(65_536)
            if not piece:
                raise ValueError("a connection was closed without a response")
            self._received[connection] += piece
            if is_complete(self._received[connection]):
                self.latencies.append(time.perf_counter() - self._due.pop(connection))
                self._idle.append(connection)


def main(port: str, target: str, rate: str, seconds: str, *headers: str) -> None:
    if sys.platform == "linux":
        # Reduce the timer slack from 50 microseconds to a nanosecond.
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
    gc.disable()
    with OpenLoad(int(port), "\r\n".join(lines).encode()) as load:
        load.run(float(rate), WARM_S)
        load.latencies.clear()
        load.run(float(rate), float(seconds))
    print(json.dumps({part: percentile(load.latencies, part / 100) * 1000 for part in (50, 99)}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as failure:
        sys.exit(f"open_rate.py: {failure}")
