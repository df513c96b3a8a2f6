"""Below aiohttp's server: the bytes of a connection before a request exists."""

# aiohttp's request handler does too much by itself for a proxy that signs: it answers malformed
# input with text that echoes the offending line, waits for headers for ever, lets a parser run
# ahead into requests that nobody has looked at. Here its parser (llhttp) is fed one head at a time,
# each one checked first, and a body exactly to its end.
# It is subclassed at a pinned minor version of aiohttp; tests/server/test_connection.py shows on
# raw sockets that what is said here holds.

import asyncio
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from ovh_proxy.core.errors import (
    BadRequest,
    OriginRefused,
    Overloaded,
    OvhProxyError,
    RequestTimeout,
)
from ovh_proxy.core.guard import Door
from ovh_proxy.core.request_head import (
    MAX_TRAILER_BYTES,
    check_framing,
    check_head,
    check_start,
    check_trailer,
)
from ovh_proxy.core.settings import Limits, Listener, Timeouts
from ovh_proxy.server.gate import Seats
from ovh_proxy.server.peers import user_of
from ovh_proxy.server.reply import Reply

_UNIX = getattr(socket, "AF_UNIX", None)
_END = b"\r\n\r\n"
# What a client still sends after its last answer is read for so long, and thrown away.
_LINGER_S = 2.0


class Front(Protocol):
    """What a connection hands its requests to."""

    async def serve(self, request: web.BaseRequest, connection: "ClientConnection") -> Reply: ...

    async def refuse(self, error: OvhProxyError, connection: "ClientConnection") -> Reply: ...


class ClientServer(web.Server):
    """aiohttp's server for one listener; each connection knows the listener it came by."""

    def __init__(
        self,
        front: Front,
        listener: Listener,
        limits: Limits,
        timeouts: Timeouts,
        seats: Seats | None = None,
    ) -> None:
        """
        Args:
            seats: those of all listeners together; None for one that is never too full.
        """
        super().__init__(
            self._handle,
            handler_cancellation=True,
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
        self.listener = listener
        self.limits = limits
        self.timeouts = timeouts
        self.seats = Seats(sys.maxsize) if seats is None else seats

    def __call__(self) -> "ClientConnection":
        return ClientConnection(self, loop=self._loop, **self._kwargs)

    async def _handle(self, request: web.BaseRequest) -> Any:
        connection = request.protocol
        assert isinstance(connection, ClientConnection)
        reply = await self.front.serve(request, connection)
        if not reply.keep_alive:
            await connection.linger()
        return reply


class ClientConnection(RequestHandler):
    """One client's connection.

    Attributes:
        door: the local end, for the guard.
    """

    __slots__ = (
        "_body_left",
        "_has_seat",
        "_head_timer",
        "_is_refused",
        "_payload",
        "_pending",
        "_seen",
        "_server",
        "door",
    )

    def __init__(self, server: ClientServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._pending = bytearray()
        self._payload: StreamReader | None = None  # of the body that is coming in
        self._body_left: int | None = None  # None: chunked
        self._seen = b""  # the last bytes of a chunked body
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._has_seat = False
        self.door = Door(server.listener, "http", "", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        name = transport.get_extra_info("sockname")
        scheme = "https" if transport.get_extra_info("sslcontext") is not None else "http"
        address, port = name[:2] if isinstance(name, tuple) else ("", 0)
        self.door = Door(self._server.listener, scheme, address, port)
        super().connection_made(transport)
        self._server.seats.taken += 1
        self._has_seat = True
        error = self._objection(transport)
        if error is not None:
            # Its seat is for one that is served: the refused could keep everybody out otherwise.
            self._leave_seat()
            self._refuse(error)

    def _leave_seat(self) -> None:
        if self._has_seat:
            self._server.seats.taken -= 1
            self._has_seat = False

    def _objection(self, transport: asyncio.BaseTransport) -> OvhProxyError | None:
        """Why nothing at all is served on this connection."""
        if self._server.seats.is_overfull:
            return Overloaded("too many connections (limits.connections)")
        uids = self._server.listener.uids
        if uids is not None and user_of(transport.get_extra_info("socket")) not in uids:
            return OriginRefused("this user is not among the `uids` of the listener")
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave_seat()
        self._stop_head_timer()
        self._is_refused = True
        self._pending.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Cuts the bytes into heads and bodies; aiohttp also calls it with none, to go on."""
        if self._is_refused:
            return
        if not data:
            super().data_received(data)
        elif self._is_whole_head(data):
            self._take_head(data)
            return
        else:
            self._pending += data
        self._pump()

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

    def _is_whole_head(self, data: bytes) -> bool:
        return (
            not self._pending
            and self._payload is None
            and not self._buffer_paused
            and not self._reading_paused
            and data.endswith(_END)
            and data.find(_END) == len(data) - 4
            and not data.startswith(b"\r\n")
        )

    def _resume_reading_for_buffer(self) -> None:
        # aiohttp goes on with what its parser holds; what waits here is ours to go on with.
        super()._resume_reading_for_buffer()
        self._pump()

    def _pump(self) -> None:
        # While aiohttp holds the parser back, bytes wait here: fed on, they would be parsed past
        # the end of the body, into a head that was not checked.
        while self._pending and not (self._reading_paused or self._buffer_paused):
            if self._is_refused:
                return
            if self._payload is not None:
                self._feed_body(self._payload)
            elif not self._cut_head():
                return

    def _cut_head(self) -> bool:
        # RFC 9112 section 2.2: empty lines before a request are ignored.
        while self._pending.startswith(b"\r\n"):
            del self._pending[:2]
        end = self._pending.find(_END)
        if end < 0:
            self._await_head()
            return False
        head = bytes(self._pending[: end + 4])
        del self._pending[: end + 4]
        self._take_head(head)
        return True

    def _await_head(self) -> None:
        if not self._pending or self._pending == b"\r":
            return
        try:
            check_start(bytes(self._pending), self._server.limits)
        except OvhProxyError as error:
            self._refuse(error)
            return
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(
                self._server.timeouts.header_s, self._head_is_late
            )

    def _process_keepalive(self) -> None:
        if self._head_timer is None:
            super()._process_keepalive()
        else:  # a head that has begun has a clock of its own, and is answered when it is late
            self._keepalive_handle = None

    def _head_is_late(self) -> None:
        self._refuse(RequestTimeout("the headers did not come in time"))

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _take_head(self, head: bytes) -> None:
        self._stop_head_timer()
        try:
            check_head(head, self._server.limits)
        except OvhProxyError as error:
            self._refuse(error)
            return
        before = len(self._messages)
        super().data_received(head)
        if len(self._messages) == before or isinstance(self._messages[-1][0], _ErrInfo):
            if len(self._messages) > before:
                self._messages.pop()
            self._refuse(BadRequest("the request is not well-formed HTTP/1.1"))
            return
        message, payload = self._messages[-1]
        assert isinstance(message, RawRequestMessage)
        self._begin_body(message, payload)

    def _begin_body(self, message: RawRequestMessage, payload: StreamReader) -> None:
        coding = message.headers.get("Transfer-Encoding")
        length = message.headers.get("Content-Length")
        try:
            check_framing(message.version.minor, coding, length)
        except OvhProxyError as error:
            self._messages.pop()
            self._refuse(error)
            return
        if message.upgrade:
            # The switch of protocols stays here: HTTP goes on, and ends with this answer.
            self._upgraded = False
        if payload is not EMPTY_PAYLOAD and not payload.is_eof():
            self._payload = payload
            self._body_left = None if coding is not None else int(length or 0)
            self._seen = b""
        elif message.should_close or message.upgrade:
            self._stop_reading()

    def _feed_body(self, payload: StreamReader) -> None:
        piece = self._next_piece()
        before = len(self._messages)
        super().data_received(piece)
        if len(self._messages) > before:
            # llhttp found the body malformed, or went on behind its end: either ends it.
            while len(self._messages) > before:
                self._messages.pop()
            self._is_refused = True
            payload.set_exception(BadRequest("the body is not well-formed HTTP/1.1"))
            self._payload = None
        elif payload.is_eof() or self._body_left == 0:
            self._payload = None
            if self._body_left is None:
                self._end_chunks(payload)

    def _end_chunks(self, payload: StreamReader) -> None:
        try:
            check_trailer(self._seen)
        except OvhProxyError as error:
            self._is_refused = True
            payload.set_exception(error)  # `read_body` looks for it behind the end, too

    def _next_piece(self) -> bytes:
        """The next bytes of the body, never any beyond its end."""
        if self._body_left is not None:
            piece = bytes(self._pending[: self._body_left])
            self._body_left -= len(piece)
        else:
            # A chunked body ends with an empty line, and its data may hold one: fed up to each.
            last = self._seen[-3:]
            end = (last + bytes(self._pending)).find(_END)
            size = len(self._pending) if end < 0 else end + 4 - len(last)
            piece = bytes(self._pending[:size])
            self._seen = (self._seen + piece)[-MAX_TRAILER_BYTES:]
        del self._pending[: len(piece)]
        return piece

    def _stop_reading(self) -> None:
        # RFC 9112 section 9.6: nothing behind a request that closes is a request.
        self._is_refused = True
        self._pending.clear()

    def _refuse(self, error: OvhProxyError) -> None:
        """Queues an error behind the requests before it, and takes nothing more."""
        self._stop_head_timer()
        self._stop_reading()
        self._messages.append((_ErrInfo(error.status, error, ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _make_error_handler(
        self, err_info: _ErrInfo
    ) -> Callable[[web.BaseRequest], Awaitable[Any]]:
        error = err_info.exc

        async def answer(_: web.BaseRequest) -> Any:
            assert isinstance(error, OvhProxyError), "only _refuse() queues errors"
            reply = await self._server.front.refuse(error, self)
            await self.linger()
            return reply

        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's own log would show what was malformed."""

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """As `log_exception`."""
