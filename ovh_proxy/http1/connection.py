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
from ovh_proxy.listeners.sockets import peer_uid
from ovh_proxy.policy.client_auth import EntryPoint

_UNIX = getattr(socket, "AF_UNIX", None)
# How long data that a client sends after its last response is read and discarded.
_LINGER_S = 2.0
# For a slow client, data waits upstream, not here: the rest of one chunk is enough.
_MAX_UNSENT = 16_384


class RequestService(Protocol):
    """Serves the requests of a connection."""

    async def serve(
        self, request: ClientRequest, connection: "ClientConnection"
    ) -> ResponseSent: ...

    async def refuse(
        self, error: OvhProxyError, connection: "ClientConnection"
    ) -> ResponseSent: ...


class ClientServer(Server):
    """aiohttp's server for one listener; each connection knows its listener."""

    def __init__(
        self,
        service: RequestService,
        listener: Listener,
        limits: Limits,
        timeouts: Timeouts,
        connection_limit: ConnectionLimit | None = None,
        connect_handler: RequestService | None = None,
    ) -> None:
        """
        Args:
            connection_limit: shared by all listeners; None for no limit.
            connect_handler: serves CONNECT; None where the server is not a forward proxy.
        """
        super().__init__(
            _unused_handler,
            # A client that disconnects ends its call, but not always: see `connection_lost`.
            handler_cancellation=False,
            keepalive_timeout=timeouts.idle_s,
            lingering_time=_LINGER_S,
            auto_decompress=False,
            access_log=None,
            # Our own limits apply before those of llhttp.
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
        )
        self.service = service
        self.connect_handler = connect_handler
        self.listener = listener
        self.limits = limits
        self.timeouts = timeouts
        self.connection_limit = (
            ConnectionLimit(sys.maxsize) if connection_limit is None else connection_limit
        )
        self.head_cache = HeadCache(self._loop.call_later)
        self._listeners: dict[tuple[str, str, int], EntryPoint] = {}
        self._detached: set[asyncio.Task[None]] = set()

    def __call__(self) -> "ClientConnection":
        return ClientConnection(self, loop=self._loop, **self._kwargs)

    def entry_point(self, transport: asyncio.BaseTransport) -> EntryPoint:
        """Returns the local end of a connection; the same object for the same address."""
        name = transport.get_extra_info("sockname")
        scheme = "https" if transport.get_extra_info("sslcontext") is not None else "http"
        address, port = name[:2] if isinstance(name, tuple) else ("", 0)
        entry_point = self._listeners.get((scheme, address, port))
        if entry_point is None:
            entry_point = self._listeners[scheme, address, port] = EntryPoint(
                self.listener, scheme, address, port
            )
        return entry_point

    def nested_connection(
        self, entry_point: EntryPoint, service: RequestService
    ) -> "ClientConnection":
        """Returns a connection that serves inside a CONNECT tunnel to an endpoint."""
        return ClientConnection(self, entry_point, service, loop=self._loop, **self._kwargs)

    def detach(self, serving: asyncio.Task[None]) -> None:
        """Keeps a task whose client has disconnected until it completes or the server stops."""
        self._detached.add(serving)
        serving.add_done_callback(self._detached.discard)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Closes every connection, and cancels the calls that continue without one."""
        await super().shutdown(timeout)
        for serving in self._detached:
            serving.cancel()
        if self._detached:
            await asyncio.wait(self._detached)


async def _unused_handler(request: BaseRequest) -> StreamResponse:  # pragma: no cover
    # Server requires a handler; `ClientConnection.serve` replaces it.
    raise NotImplementedError


class ClientConnection(ForwardProxyHandler):
    """One client's connection.

    Attributes:
        entry_point: the local end, for the client authentication.
        unsafe: the call in flight, if it may change something: it completes without its client.
        after_connect: takes the connection over once CONNECT was answered, if anything does.
    """

    __slots__ = ("_is_counted", "_server", "_service", "after_connect", "entry_point", "unsafe")

    def __init__(
        self,
        server: ClientServer,
        entry_point: EntryPoint | None = None,
        service: RequestService | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            entry_point: of a nested connection, which `service` then serves.
        """
        head_cache = server.head_cache if entry_point is None else HeadCache()
        super().__init__(server, server.limits, server.timeouts.header_s, head_cache, **options)
        self._server = server
        self._service = service or server.service
        self._is_counted = False
        self.entry_point = entry_point or EntryPoint(server.listener, "http", "", 0)
        self.unsafe: Exchange | None = None
        self.after_connect: Callable[[], Awaitable[None]] | None = None

    @property
    def is_proxy(self) -> bool:
        return self._server.connect_handler is not None and self.entry_point.host_port is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.entry_point.host_port is None:
            self.entry_point = self._server.entry_point(transport)
        super().connection_made(transport)
        if hasattr(transport, "set_write_buffer_limits"):
            transport.set_write_buffer_limits(_MAX_UNSENT)
        self._count_connection()
        error = self._connection_error(transport)
        if error is not None:
            # Otherwise rejected connections could keep all other clients out.
            self._uncount_connection()
            self._refuse(error)

    def _count_connection(self) -> None:
        if not self._is_counted:
            self._server.connection_limit.count += 1
            self._is_counted = True

    def _uncount_connection(self) -> None:
        if self._is_counted:
            self._server.connection_limit.count -= 1
            self._is_counted = False

    def _connection_error(self, transport: asyncio.BaseTransport) -> OvhProxyError | None:
        """Returns why nothing is served on this connection, if so."""
        if self._server.connection_limit.is_exceeded:
            return Overloaded("too many connections (limits.connections)")
        uids = self._server.listener.uids
        if uids is not None:
            uid = peer_uid(transport.get_extra_info("socket"))
            if uid not in uids:
                return OriginRefused(f"user ID {uid} is not in the `uids` of this listener")
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._uncount_connection()
        serving = self._task_handler
        super().connection_lost(exc)
        if serving is None:
            return
        if self.unsafe is None or not self.unsafe.attempts.is_out:
            serving.cancel()
        else:
            # It may have arrived: its outcome is worth knowing, and aborting it helps nobody.
            self.unsafe.is_detached = True
            self._server.detach(serving)

    async def serve(self, request: ClientRequest) -> ResponseSent:
        """Serves one request."""
        if request.method == "CONNECT":
            return await self._serve_connect(request)
        sent = await self._service.serve(request, self)
        # RFC 9112 section 9.6: a client that sends `Connection: close` sends nothing more. This is
        # trusted only if the request arrived in one piece; precedent: nginx's lingering_close.
        if not sent.keep_alive and not (request.is_last and self._came_in_one_piece):
            await self.linger()
        return sent

    async def _serve_connect(self, request: ClientRequest) -> ResponseSent:
        assert self._server.connect_handler is not None, "otherwise CONNECT was rejected before"
        try:
            sent = await self._server.connect_handler.serve(request, self)
            after_connect, self.after_connect = self.after_connect, None
            if after_connect is not None:
                await after_connect()
            self.release_reading()
            await self.linger()
            return sent
        finally:
            if self.transport is None:  # handed over, or closed
                self._uncount_connection()
                super().connection_lost(None)

    def nested_connection(
        self, entry_point: EntryPoint, service: RequestService
    ) -> "ClientConnection":
        """Returns a connection that serves inside this one; both count as one connection."""
        connection = self._server.nested_connection(entry_point, service)
        connection._is_counted, self._is_counted = self._is_counted, False
        return connection

    @property
    def handshake_timeout(self) -> float:
        """Seconds until a client must finish the TLS handshake."""
        return self._server.timeouts.header_s

    async def refuse(self, error: BaseException) -> ResponseSent:
        """Responds to input that is not a valid request."""
        assert isinstance(error, OvhProxyError), "only _refuse() queues errors"
        sent = await self._server.service.refuse(error, self)
        await self.linger()
        return sent

    @property
    def write_timeout(self) -> float:
        """Seconds until a client must read some of its response."""
        return self._server.timeouts.idle_s

    def skip_linger(self) -> None:
        """Expects no body: the client waits for a `100 Continue` that it will not get."""
        self._lingering_time = 0.0

    def expect_linger(self) -> None:
        """Expects a body: the client was sent `100 Continue`."""
        self._lingering_time = _LINGER_S

    def write(self, text: bytes) -> None:
        """Writes bytes of a response to the transport.

        Raises:
            ConnectionResetError: the client has disconnected.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        self.transport.write(text)

    async def linger(self) -> None:
        """Lets the client read the end of its last response, whatever it still sends.

        A closed socket answers further bytes with a reset, which discards what the client has not
        read yet (RFC 9112 section 9.6). Ends early when the client closes the connection.
        """
        if self.transport is None or not self.transport.can_write_eof():
            return
        self._stop_reading()
        self._lingering_time = 0.0
        self.transport.write_eof()
        self._resume_transport_reading()
        await asyncio.sleep(_LINGER_S)

    def abort(self) -> None:
        """Closes the connection so that the client notices that its response is incomplete."""
        if self.transport is None:
            return
        client = self.transport.get_extra_info("socket")
        if client is not None and client.family != _UNIX:
            # By a reset: after a normal close, a response without a length would look complete.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def drain(self) -> None:
        """Waits until the client has read enough of what was written."""
        if self._paused:
            await self._drain_helper()
