"""Around every request: request id, error response, access log, metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from ovh_proxy.core.errors import Draining, InternalError, OvhProxyError
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import CLIENT_LEFT, Exchange, new_id
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import LocalResponse, ResponseSent, connection_option, error_response
from ovh_proxy.logs import Log
from ovh_proxy.observability.access_log import log_request
from ovh_proxy.observability.metrics import Metrics
from ovh_proxy.observability.observers import RequestObserver
from ovh_proxy.proxy.admin_routes import ServerState
from ovh_proxy.proxy.relay import ResponseAborted

Handler = Callable[
    [ClientRequest, ClientConnection, Exchange], Awaitable["LocalResponse | ResponseSent"]
]


class Middleware:
    """Turns errors into responses, writes one log line per request and counts it once."""

    def __init__(
        self,
        handler: Handler,
        log: Log,
        metrics: Metrics,
        server_state: ServerState,
        observers: Sequence[RequestObserver] = (),
    ) -> None:
        self._handler = handler
        self._log = log
        self._metrics = metrics
        self._server_state = server_state
        self._observers = tuple(observers)

    async def serve(self, request: ClientRequest, connection: ClientConnection) -> ResponseSent:
        """Serves one request."""
        exchange = Exchange(time.monotonic(), request.method, request.raw_target)
        exchange.request_id = request.given_id or new_id()
        for observer in self._observers:
            observer.begin(exchange, request, connection)
        self._server_state.in_flight += 1
        try:
            response = await self._respond(request, connection, exchange)
            if isinstance(response, ResponseSent):
                return response
            keep_alive = (
                request.keep_alive and not self._server_state.is_stopping and not response.closes
            )
            option = connection_option(
                keep_alive=keep_alive and request.content.is_eof(), is_http_1_0=request.is_http_1_0
            )
            return await _write(response, connection, exchange, option)
        except (ResponseAborted, ConnectionError):
            exchange.is_cut = exchange.has_begun
            exchange.status = exchange.status or CLIENT_LEFT
            connection.abort()
            return ResponseSent(keep_alive=False)
        except asyncio.CancelledError:
            exchange.status = exchange.status or CLIENT_LEFT
            raise
        finally:
            self._server_state.in_flight -= 1
            self._record(exchange)

    async def refuse(self, error: OvhProxyError, connection: ClientConnection) -> ResponseSent:
        """Responds to input that is not a valid request."""
        exchange = Exchange(time.monotonic())
        exchange.request_id = new_id()
        exchange.code = error.code
        for observer in self._observers:
            observer.begin(exchange, None, connection)
        try:
            response = error_response(error, exchange.request_id)
            return await _write(response, connection, exchange, b"close")
        except ConnectionError:
            exchange.status = CLIENT_LEFT
            return ResponseSent(keep_alive=False)
        finally:
            self._record(exchange)

    async def _respond(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> LocalResponse | ResponseSent:
        try:
            if self._server_state.is_drained:
                raise Draining("the proxy is shutting down")
            return await self._handler(request, connection, exchange)
        except OvhProxyError as failure:
            # Without the traceback: its frames refer back to the error, and perhaps to a body.
            error = failure.with_traceback(None)
        except (ResponseAborted, ConnectionError):
            raise
        except Exception as failure:  # noqa: BLE001 - the last resort; its text is not disclosed
            self._log.write(
                "error",
                "internal error in ovh-proxy; please report it",
                request_id=exchange.request_id,
                defect=_where(failure),
            )
            error = InternalError(
                "internal error in ovh-proxy; please report it with the request ID"
            )
        exchange.code = error.code
        if exchange.has_begun:
            raise ResponseAborted from error
        return error_response(error, exchange.request_id)

    def _record(self, exchange: Exchange) -> None:
        ended = time.monotonic()
        self._metrics.count(exchange, ended)
        log_request(self._log, exchange, ended)
        for observer in self._observers:
            observer.end(exchange)
        if exchange.is_detached:
            # It may have been an order: the log is the only place that has its outcome.
            self._log.write(
                "info",
                "call completed after its client disconnected",
                request_id=exchange.request_id,
                method=exchange.method,
                upstream_status=exchange.upstream_status,
                error=exchange.code,
            )


async def _write(
    response: LocalResponse, connection: ClientConnection, exchange: Exchange, option: bytes | None
) -> ResponseSent:
    text = response.to_bytes(exchange.request_id, option, exchange.method == "HEAD")
    connection.write(text)
    exchange.status = response.status
    exchange.sent_bytes = len(text)
    await connection.drain()
    return ResponseSent(keep_alive=option != b"close")


def _where(failure: BaseException) -> str:
    # Only class, function and line: a message or a traceback may contain what a client sent.
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "-"
    return f"{type(failure).__name__} in {place}"
