"""Accepts from a socket that other worker processes accept from as well."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.listeners.sockets import BACKLOG

# Out of descriptors or memory: precedent is asyncio's own pause.
_PAUSE_S = 1.0
# For another worker that holds fewer connections to wake up.
_COURTESY_S = 0.001
_TCP = (socket.AF_INET, socket.AF_INET6)


class Acceptor:
    """Takes one connection a turn of the loop, and leaves it to the others while they hold fewer.

    A server of asyncio's takes all that wait: a burst of callers would go to the first to wake up,
    and keep it alone busy for as long as they keep their connections.

    Attributes:
        sockets: the one that it accepts from; none any more when it is closed.
    """

    def __init__(
        self,
        bound: socket.socket,
        share: ConnectionCount,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_s: float | None,
        farewell_s: float | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = bound
        self._share = share
        self._protocol = protocol
        self._tls = tls
        self._handshake_s = handshake_s
        self._farewell_s = farewell_s
        self._patience = 1
        self._welcomes: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self.sockets: tuple[socket.socket, ...] = (bound,)

    async def start_serving(self) -> None:
        """Begins.

        Raises:
            OSError: the system refuses.
        """
        self._bound.listen(BACKLOG)
        self._resume()

    def close(self) -> None:
        """Takes no more; connections that stand go on."""
        if self.sockets:
            self.sockets = ()
            self._loop.remove_reader(self._bound)
            self._bound.close()
        if self._again is not None:
            self._again.cancel()

    def _accept(self) -> None:
        if self._is_ahead:
            self._pause(_COURTESY_S, self._accept_some)
        else:
            # Step by step: where connections come and go, who is ahead changes all the time, and a
            # pause for each of them would leave those who come waiting for nobody.
            self._patience = max(self._patience - 1, 1)
            self._accept_one()

    def _accept_some(self) -> None:
        """After a pause: the others have no time; more and more of those who wait are taken."""
        self._resume()
        taken = 0
        while taken < self._patience and self._is_ahead and self._accept_one():
            taken += 1
        self._patience = taken * 2 or 1

    @property
    def _is_ahead(self) -> bool:
        return self._share.is_ahead(len(self._welcomes))

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._bound)
        self._again = self._loop.call_later(seconds, then)

    def _accept_one(self) -> bool:
        """Takes a connection; whether there was one."""
        try:
            connection, _ = self._bound.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was faster, or the client has left
        except OSError:
            self._pause(_PAUSE_S, self._resume)
            return False
        connection.setblocking(False)
        if connection.family in _TCP:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        welcome = self._loop.create_task(self._welcome(connection))
        self._welcomes.add(welcome)
        welcome.add_done_callback(self._welcomes.discard)
        return True

    def _resume(self) -> None:
        self._loop.add_reader(self._bound, self._accept)

    async def _welcome(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=self._farewell_s,
            )
        except (OSError, TimeoutError):  # the client has left, or speaks no TLS
            connection.close()
