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
    """aiohttp's request handler behind a check of every head.

    Refused input is queued as an error behind the requests before it; whoever derives from this
    answers it.
    """

    __slots__ = (
        "_body_left",
        "_came_whole",
        "_head_timer",
        "_header_s",
        "_is_refused",
        "_known",
        "_limits",
        "_payload",
        "_pending",
        "_seen",
    )

    def __init__(
        self,
        server: Server,
        limits: Limits,
        header_s: float,
        known: HeadCache,
        **options: Any,
    ) -> None:
        """
        Args:
            header_s: seconds from the first byte of a request to the end of its head.
            known: what was said before, on this connection or on one like it.
        """
        super().__init__(server, **options)
        self._known = known
        self._limits = limits
        self._header_s = header_s
        self._pending = bytearray()
        self._payload: StreamReader | None = None  # of the body that is coming in
        self._body_left: int | None = None  # None: chunked
        self._seen = b""  # the last bytes of a chunked body
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._came_whole = False  # the last head, in one piece with nothing behind it

    def connection_lost(self, exc: BaseException | None) -> None:
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
        elif self._is_free and self._is_whole_head(data):
            self._came_whole = True
            self._take_head(data)
            return
        else:
            self._came_whole = False
            self._pending += data
        self._pump()

    @property
    def _is_free(self) -> bool:
        """Whether what comes now is the beginning of a head, and may be taken at once."""
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
            check_start(bytes(self._pending), self._limits)
        except OvhProxyError as error:
            self._refuse(error)
            return
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(self._header_s, self._head_is_late)

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
        request = self._known.request(head)
        if request is not None and self._repeat(request):
            return
        try:
            check_head(head, self._limits)
        except OvhProxyError as error:
            self._take_other_form(head, error)
            return
        self._parse(head, ClientRequest)

    def _take_other_form(self, head: bytes, error: OvhProxyError) -> None:
        """What becomes of a head that is no request to a server."""
        self._refuse(error)

    def _parse(
        self, head: bytes, make: Callable[[RawRequestMessage, StreamReader], ClientRequest]
    ) -> None:
        before = len(self._messages)
        super().data_received(head)
        if len(self._messages) == before or isinstance(self._messages[-1][0], _ErrInfo):
            if len(self._messages) > before:
                self._messages.pop()
            # aiohttp takes nothing in any more from the moment that it is shut down.
            is_ending = self._force_close
            malformed = BadRequest("the request is not well-formed HTTP/1.1")
            self._refuse(Draining("this proxy is being stopped") if is_ending else malformed)
            return
        message, payload = self._messages[-1]
        assert isinstance(message, RawRequestMessage)
        if self._begin_body(message, payload):
            self._queue(make(message, payload), head)

    def _queue(self, request: ClientRequest, head: bytes) -> None:
        # In the place of aiohttp's message, which only `serve` would make into a request.
        self._messages[-1] = (request, request.content)  # type: ignore[assignment] # see above
        self._known.keep(head, request)

    def _repeat(self, request: ClientRequest) -> bool:
        """Queues a request that came before once more, where nothing stands before it."""
        if self._messages or self._close or self._force_close:
            return False
        if request.is_last:
            self._stop_reading()
        self._messages.append((request, EMPTY_PAYLOAD))  # type: ignore[arg-type] # as above
        self._wake()
        return True

    def _begin_body(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Prepares for the body of a request; whether its end has one reading."""
        coding = message.headers.get("Transfer-Encoding")
        length = message.headers.get("Content-Length")
        try:
            check_framing(message.version.minor, coding, length)
        except OvhProxyError as error:
            self._messages.pop()
            self._refuse(error)
            return False
        if message.upgrade:
            # The switch of protocols stays here: HTTP goes on, and ends with this answer.
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
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's own log would show what was malformed."""

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """As `log_exception`."""


class ForwardProxyHandler(FramedHandler):
    """Takes them where it serves as a proxy; a request to a server costs nothing more."""

    __slots__ = ("_is_held",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_held = False

    @property
    def is_proxy(self) -> bool:
        """Whether it serves as one."""
        raise NotImplementedError

    def _take_other_form(self, head: bytes, error: OvhProxyError) -> None:
        if not self.is_proxy:
            self._refuse(error)
            return
        try:
            asked = proxy_head(head, self._limits)
            if asked is None:
                self._refuse(error)
            elif asked.method == b"CONNECT":
                self._take_connect(asked)
            else:
                absolute = parse_absolute(asked.target)
                origin_form = asked.with_target(absolute.origin_form)
                self._parse(origin_form, partial(AbsoluteRequest, asked=absolute))
        except OvhProxyError as failure:
            self._refuse(failure)

    def _take_connect(self, head: ProxyHead) -> None:
        if self._pending:
            # They would belong to what is made of the connection, which it may not become.
            raise BadRequest("nothing may follow CONNECT before it is answered")
        # What comes from now on waits in the system, for whoever takes the connection over.
        self._pause_transport_reading()
        self._is_held = True
        self._messages.append((ConnectRequest(head), EMPTY_PAYLOAD))  # type: ignore[arg-type] # as `_queue`
        self._wake()

    def _resume_transport_reading(self) -> None:
        if not self._is_held:
            super()._resume_transport_reading()

    def let_go(self) -> None:
        """Nobody takes the connection over."""
        self._is_held = False

    def hand_over(self) -> asyncio.Transport:
        """Gives up the client's connection, to whoever speaks another protocol on it.

        Raises:
            ConnectionResetError: the client has left.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has left")
        transport, self.transport = self.transport, None
        return transport
