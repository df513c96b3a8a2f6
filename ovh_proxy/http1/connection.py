"""One client's connection on a listener: admission, timeouts, writes, its end."""

import asyncio
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

# Not `aiohttp.web`, which brings a router, static files and WebSockets along.
from aiohttp.web_server import Server

from ovh_proxy.core.errors import OriginRefused, Overloaded, OvhProxyError
from ovh_proxy.core.settings import Limits, Listener, Timeouts
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.framing import ForwardProxyHandler
from ovh_proxy.http1.request import ClientRequest, HeadCache
from ovh_proxy.http1.response import ResponseSent
from ovh_proxy.limits.concurrency import ConnectionLimit
from ovh_proxy.listeners.sockets import user_of
from ovh_proxy.policy.client_auth import EntryPoint

_UNIX = getattr(socket, "AF_UNIX", None)
# What a client still sends after its last answer is read for so long, and thrown away.
_LINGER_S = 2.0
# What a client is slow to take waits upstream, not here: the rest of one piece is enough.
_MAX_UNSENT = 16_384


class RequestService(Protocol):
    """What a connection hands its requests to."""

    async def serve(
        self, request: ClientRequest, connection: "ClientConnection"
    ) -> ResponseSent: ...

    async def refuse(
        self, error: OvhProxyError, connection: "ClientConnection"
    ) -> ResponseSent: ...


class ClientServer(Server):
    """aiohttp's server for one listener; each connection knows the listener it came by."""

    def __init__(
        self,
        front: RequestService,
        listener: Listener,
        limits: Limits,
        timeouts: Timeouts,
        connection_limit: ConnectionLimit | None = None,
        connect_handler: RequestService | None = None,
    ) -> None:
        """
        Args:
            connection_limit: those of all listeners together; None for one that is never too full.
            connect_handler: answers CONNECT; None for one that does not serve as a proxy.
        """
        super().__init__(
            _aiohttps_own,
            # A client that has left ends its call, but not every call: see `connection_lost`.
            handler_cancellation=False,
            keepalive_timeout=timeouts.idle_s,
            lingering_time=_LINGER_S,
            auto_decompress=False,
            access_log=None,
            # llhttp's own bounds are not to be met before ours.
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
        )
        self.front = front
        self.connect_handler = connect_handler
        self.listener = listener
        self.limits = limits
        self.timeouts = timeouts
        self.connection_limit = (
            ConnectionLimit(sys.maxsize) if connection_limit is None else connection_limit
        )
        self.known = HeadCache(self._loop.call_later)
        self._listeners: dict[tuple[str, str, int], EntryPoint] = {}
        self._carried: set[asyncio.Task[None]] = set()

    def __call__(self) -> "ClientConnection":
        return ClientConnection(self, loop=self._loop, **self._kwargs)

    def entry_point(self, transport: asyncio.BaseTransport) -> EntryPoint:
        """The local end of a connection; the same one for all that came the same way."""
        name = transport.get_extra_info("sockname")
        scheme = "https" if transport.get_extra_info("sslcontext") is not None else "http"
        address, port = name[:2] if isinstance(name, tuple) else ("", 0)
        entry_point = self._listeners.get((scheme, address, port))
        if entry_point is None:
            entry_point = self._listeners[scheme, address, port] = EntryPoint(
                self.listener, scheme, address, port
            )
        return entry_point

    def inside(self, entry_point: EntryPoint, front: RequestService) -> "ClientConnection":
        """What serves within a connection that a client was given for an endpoint."""
        return ClientConnection(self, entry_point, front, loop=self._loop, **self._kwargs)

    def carry(self, serving: asyncio.Task[None]) -> None:
        """Keeps what serves a client that has left, until it ends or the server does."""
        self._carried.add(serving)
        serving.add_done_callback(self._carried.discard)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Ends every connection, and every call that is carried on without one."""
        await super().shutdown(timeout)
        for serving in self._carried:
            serving.cancel()
        if self._carried:
            await asyncio.wait(self._carried)


async def _aiohttps_own(request: BaseRequest) -> StreamResponse:  # pragma: no cover
    # Server wants a handler; `ClientConnection.serve` stands in its place.
    raise NotImplementedError


class ClientConnection(ForwardProxyHandler):
    """One client's connection.

    Attributes:
        entry_point: the local end, for the guard.
        unsafe: a call under way that changes something; it goes on without its client.
        goes_on: what is made of the connection after CONNECT, if anything.
    """

    __slots__ = ("_front", "_has_seat", "_server", "entry_point", "goes_on", "unsafe")

    def __init__(
        self,
        server: ClientServer,
        entry_point: EntryPoint | None = None,
        front: RequestService | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            entry_point: of one that is within another; front: what serves there.
        """
        known = server.known if entry_point is None else HeadCache()
        super().__init__(server, server.limits, server.timeouts.header_s, known, **options)
        self._server = server
        self._front = front or server.front
        self._has_seat = False
        self.entry_point = entry_point or EntryPoint(server.listener, "http", "", 0)
        self.unsafe: Exchange | None = None
        self.goes_on: Callable[[], Awaitable[None]] | None = None

    @property
    def is_proxy(self) -> bool:
        return self._server.connect_handler is not None and self.entry_point.host_port is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.entry_point.host_port is None:
            self.entry_point = self._server.entry_point(transport)
        super().connection_made(transport)
        if hasattr(transport, "set_write_buffer_limits"):
            transport.set_write_buffer_limits(_MAX_UNSENT)
        self._take_seat()
        error = self._objection(transport)
        if error is not None:
            # Its seat is for one that is served: the refused could keep everybody out otherwise.
            self._leave_seat()
            self._refuse(error)

    def _take_seat(self) -> None:
        if not self._has_seat:
            self._server.connection_limit.taken += 1
            self._has_seat = True

    def _leave_seat(self) -> None:
        if self._has_seat:
            self._server.connection_limit.taken -= 1
            self._has_seat = False

    def _objection(self, transport: asyncio.BaseTransport) -> OvhProxyError | None:
        """Why nothing at all is served on this connection."""
        if self._server.connection_limit.is_overfull:
            return Overloaded("too many connections (limits.connections)")
        uids = self._server.listener.uids
        if uids is not None and user_of(transport.get_extra_info("socket")) not in uids:
            return OriginRefused("this user is not among the `uids` of the listener")
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave_seat()
        serving = self._task_handler
        super().connection_lost(exc)
        if serving is None:
            return
        if self.unsafe is None or not self.unsafe.attempts.is_out:
            serving.cancel()
        else:
            # It may have arrived: whether it was done is worth knowing, and a cut helps nobody.
            self.unsafe.is_carried = True
            self._server.carry(serving)

    async def serve(self, request: ClientRequest) -> ResponseSent:
        """Hands one request to the front."""
        if request.method == "CONNECT":
            return await self._serve_connect(request)
        reply = await self._front.serve(request, self)
        # RFC 9112 section 9.6: who says so sends nothing more. Precedent for taking the word of a
        # client that sent its request in one piece, and of no other: nginx's lingering_close.
        if not reply.keep_alive and not (request.is_last and self._came_whole):
            await self.linger()
        return reply

    async def _serve_connect(self, request: ClientRequest) -> ResponseSent:
        assert self._server.connect_handler is not None, "else CONNECT is refused as it comes"
        try:
            reply = await self._server.connect_handler.serve(request, self)
            goes_on, self.goes_on = self.goes_on, None
            if goes_on is not None:
                await goes_on()
            self.let_go()
            await self.linger()
            return reply
        finally:
            if self.transport is None:  # somebody else's now, or closed
                self._leave_seat()
                super().connection_lost(None)

    def inside(self, entry_point: EntryPoint, front: RequestService) -> "ClientConnection":
        """What serves within this connection, in its seat."""
        connection = self._server.inside(entry_point, front)
        connection._has_seat, self._has_seat = self._has_seat, False
        return connection

    @property
    def handshake_timeout(self) -> float:
        """Seconds in which a client has to finish the handshake of TLS."""
        return self._server.timeouts.header_s

    async def refuse(self, error: BaseException) -> ResponseSent:
        """Has input answered that never became a request."""
        assert isinstance(error, OvhProxyError), "only _refuse() queues errors"
        reply = await self._server.front.refuse(error, self)
        await self.linger()
        return reply

    @property
    def write_timeout(self) -> float:
        """Seconds in which a client has to take something of its answer."""
        return self._server.timeouts.idle_s

    def skip_linger(self) -> None:
        """The client waits for `100 Continue` that it will not get: no body is under way."""
        self._lingering_time = 0.0

    def expect_linger(self) -> None:
        """The body is under way now."""
        self._lingering_time = _LINGER_S

    def write(self, text: bytes) -> None:
        """Hands bytes of an answer to the transport.

        Raises:
            ConnectionResetError: the client has left.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has left")
        self.transport.write(text)

    async def linger(self) -> None:
        """Lets the client see the end of its last answer, whatever it still sends.

        Bytes that meet a closed socket are answered by a reset, and a reset takes away what the
        client has not read yet (RFC 9112 section 9.6). Ends when the client hangs up.
        """
        if self.transport is None or not self.transport.can_write_eof():
            return
        self._stop_reading()
        self._lingering_time = 0.0
        self.transport.write_eof()
        self._resume_transport_reading()
        await asyncio.sleep(_LINGER_S)

    def break_off(self) -> None:
        """Ends the connection so that the client cannot take what it has for the whole."""
        if self.transport is None:
            return
        end = self.transport.get_extra_info("socket")
        if end is not None and end.family != _UNIX:
            # A reset, not an end: an answer without a length would look complete with an end.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def drain(self) -> None:
        """Waits until the client has taken enough of what was written."""
        if self._paused:
            await self._drain_helper()
