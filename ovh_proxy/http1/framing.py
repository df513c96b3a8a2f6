"""Cuts a client's bytes into heads and bodies, CONNECT and absolute form included."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo
from aiohttp.web_server import Server

from ovh_proxy.core.errors import BadRequest, Draining, OvhProxyError, RequestTimeout
from ovh_proxy.core.settings import Limits
from ovh_proxy.http1.request import AbsoluteRequest, ClientRequest, ConnectRequest, HeadCache
from ovh_proxy.http1.request_head import (
    MAX_TRAILER_BYTES,
    ProxyHead,
    check_framing,
    check_head,
    check_start,
    check_trailer,
    proxy_head,
)
from ovh_proxy.http1.request_loop import RequestLoopHandler
from ovh_proxy.policy.forward_proxy import parse_absolute

_END = b"\r\n\r\n"


class FramedHandler(RequestLoopHandler):
    """aiohttp's request handler, with a check of every head before its parser.

    Rejected input is queued as an error behind the requests before it; subclasses respond to it.
    """

    __slots__ = (
        "_body_left",
        "_came_in_one_piece",
        "_head_cache",
        "_head_timer",
        "_header_s",
        "_is_refused",
        "_limits",
        "_payload",
        "_pending",
        "_seen",
    )

    def __init__(
        self, server: Server, limits: Limits, header_s: float, head_cache: HeadCache, **options: Any
    ) -> None:
        """
        Args:
            header_s: seconds from the first byte of a request to the end of its head.
            head_cache: earlier requests, of this connection or of all on the same listener.
        """
        super().__init__(server, **options)
        self._head_cache = head_cache
        self._limits = limits
        self._header_s = header_s
        self._pending = bytearray()
        self._payload: StreamReader | None = None  # of the body that is being received
        self._body_left: int | None = None  # None: chunked
        self._seen = b""  # the last bytes of a chunked body
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._came_in_one_piece = False  # the last head arrived alone, in one read

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        self._is_refused = True
        self._pending.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Splits the bytes into heads and bodies; aiohttp also calls it without any, to resume."""
        if self._is_refused:
            return
        if not data:
            super().data_received(data)
        elif self._is_free and self._is_whole_head(data):
            self._came_in_one_piece = True
            self._take_head(data)
            return
        else:
            self._came_in_one_piece = False
            self._pending += data
        self._pump()

    @property
    def _is_free(self) -> bool:
        """Whether the next bytes begin a head and may be parsed immediately."""
        return not (
            self._pending
            or self._payload is not None
            or self._buffer_paused
            or self._reading_paused
        )

    def _is_whole_head(self, data: bytes) -> bool:
        end = data.find(_END)
        return end > 0 and end == len(data) - 4 and not data.startswith(b"\r\n")

    def _resume_reading_for_buffer(self) -> None:
        # aiohttp resumes with what its parser holds; then we resume with what is pending here.
        super()._resume_reading_for_buffer()
        self._pump()

    def _pump(self) -> None:
        # While aiohttp pauses the parser, bytes wait here: otherwise they would be parsed past the
        # end of the body, into a head that was not checked.
        while self._pending and not (self._reading_paused or self._buffer_paused):
            if self._is_refused:
                return
            if self._payload is not None:
                self._feed_body(self._payload)
            elif not self._split_head():
                return

    def _split_head(self) -> bool:
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
            check_start(bytes(self._pending), self._limits)
        except OvhProxyError as error:
            self._refuse(error)
            return
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(self._header_s, self._head_is_late)

    def _process_keepalive(self) -> None:
        if self._head_timer is None:
            super()._process_keepalive()
        else:  # an incomplete head has its own timeout, and gets a response
            self._keepalive_handle = None

    def _head_is_late(self) -> None:
        self._refuse(RequestTimeout("the headers arrived too slowly (timeouts.header_s)"))

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _take_head(self, head: bytes) -> None:
        self._stop_head_timer()
        request = self._head_cache.request(head)
        if request is not None and self._repeat(request):
            return
        try:
            check_head(head, self._limits)
        except OvhProxyError as error:
            self._take_other_form(head, error)
            return
        self._parse(head, ClientRequest)

    def _take_other_form(self, head: bytes, error: OvhProxyError) -> None:
        """Handles a head that is not a request in origin form."""
        self._refuse(error)

    def _parse(
        self, head: bytes, make: Callable[[RawRequestMessage, StreamReader], ClientRequest]
    ) -> None:
        before = len(self._messages)
        super().data_received(head)
        if len(self._messages) == before or isinstance(self._messages[-1][0], _ErrInfo):
            if len(self._messages) > before:
                self._messages.pop()
            # aiohttp accepts nothing more once it is shutting down.
            is_ending = self._force_close
            malformed = BadRequest("the request is not valid HTTP/1.1")
            self._refuse(Draining("the proxy is shutting down") if is_ending else malformed)
            return
        message, payload = self._messages[-1]
        assert isinstance(message, RawRequestMessage)
        if self._begin_body(message, payload):
            self._queue(make(message, payload), head)

    def _queue(self, request: ClientRequest, head: bytes) -> None:
        # Replaces aiohttp's message, which is not a request yet.
        self._messages[-1] = (request, request.content)  # type: ignore[assignment] # see above
        self._head_cache.put(head, request)

    def _repeat(self, request: ClientRequest) -> bool:
        """Queues a cached request again, if no other request is waiting."""
        if self._messages or self._close or self._force_close:
            return False
        if request.is_last:
            self._stop_reading()
        self._messages.append((request, EMPTY_PAYLOAD))  # type: ignore[arg-type] # as above
        self._wake()
        return True

    def _begin_body(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Prepares for the body of a request; returns whether its framing is unambiguous."""
        coding = message.headers.get("Transfer-Encoding")
        length = message.headers.get("Content-Length")
        try:
            check_framing(message.version.minor, coding, length)
        except OvhProxyError as error:
            self._messages.pop()
            self._refuse(error)
            return False
        if message.upgrade:
            # The upgrade is ignored: HTTP continues, and ends after this response.
            self._upgraded = False
        if payload is not EMPTY_PAYLOAD and not payload.is_eof():
            self._payload = payload
            self._body_left = None if coding is not None else int(length or 0)
            self._seen = b""
        elif message.should_close or message.upgrade:
            self._stop_reading()
        return True

    def _feed_body(self, payload: StreamReader) -> None:
        piece = self._next_piece()
        before = len(self._messages)
        super().data_received(piece)
        if len(self._messages) > before:
            # llhttp found the body malformed, or parsed past its end: the connection ends.
            while len(self._messages) > before:
                self._messages.pop()
            self._is_refused = True
            payload.set_exception(BadRequest("the body is not valid HTTP/1.1"))
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
            payload.set_exception(error)  # `read_body` checks for it after the end, too

    def _next_piece(self) -> bytes:
        """Returns the next bytes of the body, never any after its end."""
        if self._body_left is not None:
            piece = bytes(self._pending[: self._body_left])
            self._body_left -= len(piece)
        else:
            # A chunked body ends with an empty line, and its data may contain one: stop at each.
            last = self._seen[-3:]
            end = (last + bytes(self._pending)).find(_END)
            size = len(self._pending) if end < 0 else end + 4 - len(last)
            piece = bytes(self._pending[:size])
            self._seen = (self._seen + piece)[-MAX_TRAILER_BYTES:]
        del self._pending[: len(piece)]
        return piece

    def _stop_reading(self) -> None:
        # RFC 9112 section 9.6: after a request that closes the connection, there are no others.
        self._is_refused = True
        self._pending.clear()

    def _refuse(self, error: OvhProxyError) -> None:
        """Queues an error behind the requests before it, and accepts nothing more."""
        self._stop_head_timer()
        self._stop_reading()
        self._messages.append((_ErrInfo(error.status, error, ""), EMPTY_PAYLOAD))
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Logs nothing: aiohttp's own message would contain the malformed input."""

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """Logs nothing, as `log_exception`."""


class ForwardProxyHandler(FramedHandler):
    """Accepts CONNECT and absolute form as well; requests in origin form cost nothing more."""

    __slots__ = ("_is_reading_held",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_reading_held = False

    @property
    def is_proxy(self) -> bool:
        """Whether the connection is served as by a forward proxy."""
        raise NotImplementedError

    def _take_other_form(self, head: bytes, error: OvhProxyError) -> None:
        if not self.is_proxy:
            self._refuse(error)
            return
        try:
            parsed = proxy_head(head, self._limits)
            if parsed is None:
                self._refuse(error)
            elif parsed.method == b"CONNECT":
                self._take_connect(parsed)
            else:
                absolute = parse_absolute(parsed.target)
                origin_form = parsed.with_target(absolute.origin_form)
                self._parse(origin_form, partial(AbsoluteRequest, absolute_target=absolute))
        except OvhProxyError as failure:
            self._refuse(failure)

    def _take_connect(self, head: ProxyHead) -> None:
        if self._pending:
            # These bytes would belong to the tunnel, which may be refused.
            raise BadRequest("the client sent data before the response to CONNECT")
        # From now on, bytes wait in the system until the tunnel reads them.
        self._pause_transport_reading()
        self._is_reading_held = True
        self._messages.append((ConnectRequest(head), EMPTY_PAYLOAD))  # type: ignore[arg-type] # as `_queue`
        self._wake()

    def _resume_transport_reading(self) -> None:
        if not self._is_reading_held:
            super()._resume_transport_reading()

    def release_reading(self) -> None:
        """Reads again: the connection is not handed over."""
        self._is_reading_held = False

    def hand_over(self) -> asyncio.Transport:
        """Gives up the client's transport, for use with another protocol.

        Raises:
            ConnectionResetError: the client has disconnected.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        transport, self.transport = self.transport, None
        return transport
