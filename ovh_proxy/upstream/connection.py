"""One connection to OVHcloud, which carries one request at a time."""

import asyncio
import select
from collections.abc import Callable
from typing import cast

from ovh_proxy.core.errors import UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.core.settings import Timeouts
from ovh_proxy.ovhcloud.messages import Body, UpstreamRequest
from ovh_proxy.upstream.http1 import MalformedResponse, ResponseParser, encode_request_head
from ovh_proxy.upstream.response import HIGH_WATER, UpstreamResponse

# A body up to this size is written together with its head.
_ONE_WRITE = 65_536
_TLS_AHEAD = 32_768
# After this a connection is not reused, however busy, because its host name may resolve to other
# addresses by then. nginx allows an hour.
_MAX_AGE_S = 300.0


class Connection(asyncio.BufferedProtocol):
    """A connection that carries one request at a time.

    Attributes:
        requests: how many requests it has carried.
        deadline: loop time at which the current request times out; the pool checks it.
        expires_at: loop time until which it may stay idle; 0 if it was never idle.
        retires_at: loop time until which it may be used at all.
    """

    def __init__(
        self, buffer: bytearray, timeouts: Timeouts, on_free: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # A memoryview, because asyncio's TLS slices it, and slicing a bytearray copies.
        self._buffer = memoryview(buffer)
        self._timeouts = timeouts
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._parser: ResponseParser | None = None
        self._spare_parser: ResponseParser | None = None  # of the previous request, for reuse
        self._incoming: UpstreamResponse | None = None
        self._head_received: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._high_water = HIGH_WATER
        self._is_paused_reading = False
        self._is_paused_writing = False
        self._is_request_sent = False
        self._keep_alive_s: float | None = None
        self.requests = 0
        self.deadline: float | None = None
        self.expires_at = 0.0
        self.retires_at = self._loop.time() + _MAX_AGE_S

    # Sending one request.

    async def send(
        self, outgoing: UpstreamRequest, authority: str, target: str
    ) -> UpstreamResponse:
        """Sends a request and returns the response once its head has arrived.

        Raises:
            UpstreamFailed: no response; the attributes say whether the request may have arrived.
        """
        assert self._transport is not None
        self._parser = self._new_parser(outgoing.method)
        self._incoming = incoming = UpstreamResponse(self, self._high_water)
        self._head_received = head_received = self._loop.create_future()
        self._is_request_sent = False
        self.requests += 1
        head, body = encode_request_head(outgoing, authority, target), outgoing.body
        self._start_response_timer()
        try:
            if body.size > _ONE_WRITE:
                await self._write_in_pieces(self._transport, head, body, head_received)
            else:
                self._transport.write(b"".join((head, *body.pieces())) if body.size else head)
                self._is_request_sent = True
            await head_received
        except BaseException:
            head_received.cancel()  # also marks an exception that is already set as retrieved
            if self._incoming is incoming:  # otherwise the next request may already use it
                self.abort()
            raise
        return incoming

    def _new_parser(self, method: str) -> ResponseParser:
        parser, self._spare_parser = self._spare_parser, None
        if parser is None:
            return ResponseParser(method)
        parser.begin(method)
        return parser

    def _start_response_timer(self) -> None:
        self.deadline = self._loop.time() + self._timeouts.answer_s

    async def _write_in_pieces(
        self,
        transport: asyncio.Transport,
        head: bytes,
        body: Body,
        head_received: asyncio.Future[None],
    ) -> None:
        transport.write(head)
        for piece in body.pieces():
            transport.write(piece)
            if self._is_paused_writing:
                await self._drain()
                if head_received.done():
                    return  # a response before the body was sent: the rest is not needed
        self._is_request_sent = True
        self._start_response_timer()

    async def _drain(self) -> None:
        self._writable = self._loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    # Called by the pool.

    @property
    def was_idle(self) -> bool:
        """Whether it was kept open before its current request."""
        # A connection that was opened in advance was idle before its first request.
        return self.requests > 1 or self.expires_at > 0.0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def has_unread(self) -> bool:
        """Whether bytes or EOF wait to be read; on an idle connection both are unsolicited."""
        return self._poll is not None and bool(self._poll.poll(0))

    def idle_seconds(self, longest: float) -> float:
        """How long it may stay idle, in seconds: the server's `Keep-Alive` less one second."""
        return (
            longest
            if self._keep_alive_s is None
            else min(longest, max(self._keep_alive_s - 1.0, 0.0))
        )

    def time_out(self) -> None:
        """Fails the current request because its deadline has passed."""
        if self._parser is None or self._parser.head is None:
            message = f"no response from OVHcloud within {self._timeouts.answer_s:g} s"
            setting = "timeouts.answer_s"
        else:
            message = f"OVHcloud's response stalled for {self._timeouts.idle_s:g} s"
            setting = "timeouts.idle_s"
        self._fail(UpstreamTimeout(f"{message} ({setting})"))

    def abort(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def resume_reading(self) -> None:
        """Continues after the buffered bytes were consumed."""
        if self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = False
            self._transport.resume_reading()
            self._restart_idle_timer()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports do not inherit from asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        if hasattr(transport, "set_read_buffer_limits"):
            # TLS keeps reading into its own, larger buffers while we pause.
            transport.set_read_buffer_limits(_TLS_AHEAD)
            self._high_water = _TLS_AHEAD
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor.fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        parser = self._parser
        if parser is None:
            self.abort()  # unsolicited bytes
            return
        try:
            parser.feed(self._buffer[:nbytes])
        except MalformedResponse as failure:
            self._fail(UpstreamBroken(str(failure)), failure)
            return
        self._advance(parser)

    def eof_received(self) -> bool:
        self._end_response()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._parser is not None:
            # The response was incomplete: closed by the server, by us or by the network.
            self._fail(self._broken(self._parser, "the connection to OVHcloud was lost"), exc)
        self._wake_writer()
        self._on_free(self)

    def pause_writing(self) -> None:
        self._is_paused_writing = True

    def resume_writing(self) -> None:
        self._is_paused_writing = False
        self._wake_writer()

    # From bytes to the response.

    def _advance(self, parser: ResponseParser) -> None:
        incoming, head_received = self._incoming, self._head_received
        if incoming is None or head_received is None or parser.head is None:
            return
        waiting = 0
        if parser.pieces:
            waiting = incoming.put(parser.pieces)
            parser.pieces = []
        if parser.is_complete:
            self._complete(parser, incoming)
        else:
            if waiting > self._high_water:
                self._pause_reading()
            self._restart_idle_timer()
        if not head_received.done():
            incoming.head = parser.head
            head_received.set_result(None)
            self._wake_writer()  # the rest of the request body is not needed

    def _pause_reading(self) -> None:
        if not self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = True
            self._transport.pause_reading()

    def _restart_idle_timer(self) -> None:
        # While paused, the client is slow, not the upstream.
        waits = not self._is_paused_reading and self._parser is not None
        self.deadline = self._loop.time() + self._timeouts.idle_s if waits else None

    def _complete(self, parser: ResponseParser, incoming: UpstreamResponse) -> None:
        self._parser = self._incoming = None
        self.deadline = None
        incoming.finish()
        if not (self._is_request_sent and parser.is_reusable):
            self.abort()
        else:
            self._keep_alive_s = parser.keep_alive_s
            self._spare_parser = parser if parser.can_begin_again else None
            self._on_free(self)

    def _end_response(self) -> None:
        parser, incoming = self._parser, self._incoming
        if parser is None or incoming is None:
            return
        try:
            parser.end()
        except MalformedResponse as failure:
            self._fail(self._broken(parser, str(failure)), failure)
        else:
            self._complete(parser, incoming)

    def _broken(self, parser: ResponseParser, message: str) -> UpstreamBroken:
        is_stale = self.was_idle and not parser.has_begun
        return UpstreamBroken(message, on_kept_connection=is_stale)

    def _fail(self, failure: UpstreamFailed, cause: BaseException | None = None) -> None:
        failure.__cause__ = cause
        incoming, head_received = self._incoming, self._head_received
        assert incoming is not None, "called only during a request"
        assert head_received is not None, "called only during a request"
        self._parser = self._incoming = None
        self.deadline = None
        if not head_received.done():
            head_received.set_exception(failure)
        incoming.finish(failure)
        self.abort()

    def _wake_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
