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

# A body up to this size goes out in one write with its head.
_ONE_WRITE = 65_536
_TLS_AHEAD = 32_768
# So long it is kept at most, however busy: its name may lead elsewhere by then. nginx says an hour.
_LIFE_S = 300.0


class Connection(asyncio.BufferedProtocol):
    """A connection that carries one request at a time.

    Attributes:
        requests: how many it has carried.
        deadline: loop time at which the request under way has taken too long; the pool looks.
        expires_at: loop time until which it may be kept idle; 0 as long as it never was.
        retires_at: loop time until which it may be kept at all.
    """

    def __init__(
        self, buffer: bytearray, timeouts: Timeouts, on_free: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # As a view, because asyncio's TLS slices it, and a slice of a bytearray is a copy.
        self._buffer = memoryview(buffer)
        self._timeouts = timeouts
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._reader: ResponseParser | None = None
        self._spare: ResponseParser | None = None  # of the request before, to begin again
        self._incoming: UpstreamResponse | None = None
        self._answered: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._high_water = HIGH_WATER
        self._is_paused_reading = False
        self._is_paused_writing = False
        self._is_sent = False
        self._kept_s: float | None = None
        self.requests = 0
        self.deadline: float | None = None
        self.expires_at = 0.0
        self.retires_at = self._loop.time() + _LIFE_S

    # The way of one request.

    async def send(
        self, outgoing: UpstreamRequest, authority: str, target: str
    ) -> UpstreamResponse:
        """Sends a request and gives its answer once the head is there.

        Raises:
            UpstreamFailed: no answer came; its attributes tell what may have arrived.
        """
        assert self._transport is not None
        self._reader = self._new_reader(outgoing.method)
        self._incoming = incoming = UpstreamResponse(self, self._high_water)
        self._answered = answered = self._loop.create_future()
        self._is_sent = False
        self.requests += 1
        head, body = encode_request_head(outgoing, authority, target), outgoing.body
        self._expect_answer()
        try:
            if body.size > _ONE_WRITE:
                await self._write_in_pieces(self._transport, head, body, answered)
            else:
                self._transport.write(b"".join((head, *body.pieces())) if body.size else head)
                self._is_sent = True
            await answered
        except BaseException:
            answered.cancel()  # an exception that it has already counts as seen with that
            if self._incoming is incoming:  # else the next request may have it already
                self.abort()
            raise
        return incoming

    def _new_reader(self, method: str) -> ResponseParser:
        reader, self._spare = self._spare, None
        if reader is None:
            return ResponseParser(method)
        reader.begin(method)
        return reader

    def _expect_answer(self) -> None:
        self.deadline = self._loop.time() + self._timeouts.answer_s

    async def _write_in_pieces(
        self,
        transport: asyncio.Transport,
        head: bytes,
        body: Body,
        answered: asyncio.Future[None],
    ) -> None:
        transport.write(head)
        for piece in body.pieces():
            transport.write(piece)
            if self._is_paused_writing:
                await self._drain()
                if answered.done():
                    return  # before it was all sent: the rest is not wanted
        self._is_sent = True
        self._expect_answer()

    async def _drain(self) -> None:
        self._writable = self._loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    # What the pool asks.

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def has_unread(self) -> bool:
        """Whether bytes, or the end, wait to be read: an idle connection that nobody asked."""
        return self._poll is not None and bool(self._poll.poll(0))

    def keep_for(self, longest: float) -> float:
        """Seconds that the connection may be kept idle: the server's own word, less a second."""
        return longest if self._kept_s is None else min(longest, max(self._kept_s - 1.0, 0.0))

    def time_out(self) -> None:
        """The deadline has passed."""
        waited_for = "answer" if self._reader is None or self._reader.head is None else "rest of it"
        self._fail(
            UpstreamTimeout(f"OVHcloud took too long: the {waited_for} did not come in time")
        )

    def abort(self) -> None:
        """Closes at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def go_on_reading(self) -> None:
        """What was read has been taken."""
        if self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = False
            self._transport.resume_reading()
            self._touch()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By its methods alone: uvloop's transports are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if hasattr(transport, "set_read_buffer_limits"):
            # TLS reads on while we pause, into buffers of its own, and those are not small.
            transport.set_read_buffer_limits(_TLS_AHEAD)
            self._high_water = _TLS_AHEAD
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor.fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        if reader is None:
            self.abort()  # nobody asked for anything
            return
        try:
            reader.feed(self._buffer[:nbytes])
        except MalformedResponse as failure:
            self._fail(UpstreamBroken(str(failure)), failure)
            return
        self._advance(reader)

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._reader is not None:
            # No end of theirs came before: it was cut, by them, by us, or on the way.
            self._fail(self._ended(self._reader, "the connection to OVHcloud was lost"), exc)
        self._go_on_writing()
        self._on_free(self)

    def pause_writing(self) -> None:
        self._is_paused_writing = True

    def resume_writing(self) -> None:
        self._is_paused_writing = False
        self._go_on_writing()

    # From bytes to the answer.

    def _advance(self, reader: ResponseParser) -> None:
        incoming, answered = self._incoming, self._answered
        if incoming is None or answered is None or reader.head is None:
            return
        waiting = 0
        if reader.pieces:
            waiting = incoming.put(reader.pieces)
            reader.pieces = []
        if reader.is_complete:
            self._complete(reader, incoming)
        else:
            if waiting > self._high_water:
                self._pause_reading()
            self._touch()
        if not answered.done():
            incoming.head = reader.head
            answered.set_result(None)
            self._go_on_writing()  # to find out that the rest is not wanted

    def _pause_reading(self) -> None:
        if not self._is_paused_reading and self._transport is not None:
            self._is_paused_reading = True
            self._transport.pause_reading()

    def _touch(self) -> None:
        # A client that does not read is no upstream that does not answer.
        waits = not self._is_paused_reading and self._reader is not None
        self.deadline = self._loop.time() + self._timeouts.idle_s if waits else None

    def _complete(self, reader: ResponseParser, incoming: UpstreamResponse) -> None:
        self._reader = self._incoming = None
        self.deadline = None
        incoming.finish()
        if not (self._is_sent and reader.is_reusable):
            self.abort()
        else:
            self._kept_s = reader.kept_s
            self._spare = reader if reader.can_begin_again else None
            self._on_free(self)

    def _end(self) -> None:
        reader, incoming = self._reader, self._incoming
        if reader is None or incoming is None:
            return
        try:
            reader.end()
        except MalformedResponse as failure:
            self._fail(self._ended(reader, str(failure)), failure)
        else:
            self._complete(reader, incoming)

    def _ended(self, reader: ResponseParser, message: str) -> UpstreamBroken:
        # One that was opened ahead has been idle before its first request.
        was_idle = self.requests > 1 or self.expires_at > 0.0
        return UpstreamBroken(message, on_kept_connection=was_idle and not reader.has_begun)

    def _fail(self, failure: UpstreamFailed, cause: BaseException | None = None) -> None:
        failure.__cause__ = cause
        incoming, answered = self._incoming, self._answered
        assert incoming is not None, "a request is under way"
        assert answered is not None, "a request is under way"
        self._reader = self._incoming = None
        self.deadline = None
        if not answered.done():
            answered.set_exception(failure)
        incoming.finish(failure)
        self.abort()

    def _go_on_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
