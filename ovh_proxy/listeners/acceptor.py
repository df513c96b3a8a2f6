"""Accepts from a socket that other worker processes accept from as well."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.listeners.sockets import BACKLOG

# When out of descriptors or memory. Precedent: asyncio's own pause.
_PAUSE_S = 1.0
# Time for another worker that has fewer connections to accept.
_YIELD_S = 0.001
_TCP = (socket.AF_INET, socket.AF_INET6)


class Acceptor:
    """Accepts one connection per loop iteration, and yields while other workers have fewer.

    asyncio's server accepts every waiting connection: a burst of clients would all go to the
    worker that wakes up first, which would stay the only busy one for as long as they stay.

    Attributes:
        sockets: the socket that it accepts from; empty once it is closed.
    """

    def __init__(
        self,
        bound: socket.socket,
        share: ConnectionCount,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_s: float | None,
        shutdown_s: float | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = bound
        self._share = share
        self._protocol = protocol
        self._tls = tls
        self._handshake_s = handshake_s
        self._shutdown_s = shutdown_s
        self._batch_size = 1
        self._starting: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.sockets: tuple[socket.socket, ...] = (bound,)

    async def start_serving(self) -> None:
        """Starts to accept.

        Raises:
            OSError: the socket cannot listen.
        """
        self._bound.listen(BACKLOG)
        self._resume()

    def close(self) -> None:
        """Accepts no more; open connections continue."""
        if self.sockets:
            self.sockets = ()
            self._loop.remove_reader(self._bound)
            self._bound.close()
        if self._timer is not None:
            self._timer.cancel()

    def _accept(self) -> None:
        if self._is_ahead:
            self._pause(_YIELD_S, self._accept_batch)
        else:
            # The batch shrinks step by step: with short connections, the worker that is ahead
            # changes all the time, and a pause for each would keep clients waiting for no reason.
            self._batch_size = max(self._batch_size - 1, 1)
            self._accept_one()

    def _accept_batch(self) -> None:
        """Accepts after a pause in which the others did not: more connections each time."""
        self._resume()
        accepted = 0
        while accepted < self._batch_size and self._is_ahead and self._accept_one():
            accepted += 1
        self._batch_size = accepted * 2 or 1

    @property
    def _is_ahead(self) -> bool:
        return self._share.is_ahead(len(self._starting))

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._bound)
        self._timer = self._loop.call_later(seconds, then)

    def _accept_one(self) -> bool:
        """Accepts a connection; returns whether there was one."""
        try:
            connection, _ = self._bound.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was faster, or the client has disconnected
        except OSError:
            self._pause(_PAUSE_S, self._resume)
            return False
        connection.setblocking(False)
        if connection.family in _TCP:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        starting = self._loop.create_task(self._start_connection(connection))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        return True

    def _resume(self) -> None:
        self._loop.add_reader(self._bound, self._accept)

    async def _start_connection(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=self._shutdown_s,
            )
        except (OSError, TimeoutError):  # the client has disconnected, or does not use TLS
            connection.close()
