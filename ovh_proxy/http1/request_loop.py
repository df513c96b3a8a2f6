"""Serves the requests of one connection, one after the other."""

# This replaces aiohttp's own loop, which creates a task, a writer and a request object with two
# dozen fields per request: a third of the cost of a small request.

import asyncio
from typing import Protocol, cast

from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from ovh_proxy.http1.request import ClientRequest


class KeepsAlive(Protocol):
    """The result of serving a request."""

    @property
    def keep_alive(self) -> bool: ...


class RequestLoopHandler(RequestHandler):
    """aiohttp's request handler with its request loop replaced."""

    __slots__ = ()

    async def serve(self, request: ClientRequest) -> KeepsAlive:
        """Serves one request."""
        raise NotImplementedError

    async def refuse(self, error: BaseException) -> KeepsAlive:
        """Responds to input that is not a valid request."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts to serve, as aiohttp does; accepted sockets already have the options it sets."""
        assert self._manager is not None
        self.transport = cast(asyncio.Transport, transport)
        self._manager.connection_made(self, self.transport)
        self._await_next()
        self._task_handler = self._loop.create_task(self.start())

    async def start(self) -> None:
        """Runs until the connection closes; it is started as a task."""
        try:
            while not self._force_close:
                if not self._messages:
                    await self._next_message()
                message, payload = self._messages.popleft()
                self._resume_reading()
                self._request_in_progress = True
                if isinstance(message, _ErrInfo):
                    sent = await self.refuse(message.exc)
                else:
                    # FramedHandler has replaced aiohttp's message by our own.
                    sent = await self.serve(message)  # type: ignore[arg-type] # see above
                self._end_turn()
                if not payload.is_eof():
                    await self._skip(payload)
                if not sent.keep_alive or self._close or self._force_close:
                    return
                self._await_next()
        except ConnectionError:
            return  # the client has disconnected
        finally:
            self._end_turn()
            self.force_close()

    async def _next_message(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _end_turn(self) -> None:
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)

    def _resume_reading(self) -> None:
        # Precedent: aiohttp's own loop. While many pipelined requests wait, reading is paused.
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _skip(self, payload: StreamReader) -> None:
        # RFC 9112 section 9.3: the rest of a body must be read, or the connection closed.
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof():
                    await payload.readany()
        except TimeoutError:
            self.close()
        except Exception:  # noqa: BLE001 - any error in a discarded body closes the connection
            self.close()

    def _await_next(self) -> None:
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
