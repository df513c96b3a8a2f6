"""The spans of a request: one for itself, and a child for the call to OVHcloud."""

import time

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ovh_proxy.core.settings import UnixAddress
from ovh_proxy.core.trace_context import read_context, with_context, without_context
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import CLIENT_LEFT, Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.observability.counters import outcome_of
from ovh_proxy.observability.span_attributes import (
    call_end,
    call_error,
    call_start,
    server_error,
    server_start,
    span_name,
)
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.server.collector import SpanPipeline

_W3C = TraceContextTextMapPropagator()


class RequestSpans:
    """What one request adds to a trace."""

    def __init__(self, tracer: Tracer, span: Span, propagate: bool) -> None:
        self._tracer = tracer
        self._span = span
        self._propagate = propagate
        self._call: Span | None = None
        self._call_began = 0

    def begin_call(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """The call goes to OVHcloud; gives it with the headers that say so, or without any."""
        ours = set_span_in_context(self._span, Context())
        self._call_began = time.time_ns()
        self._call = self._tracer.start_span(
            span_name(outgoing.method),
            ours,
            SpanKind.CLIENT,
            call_start(outgoing.method, outgoing.url),
            start_time=self._call_began,
        )
        headers = without_context(outgoing.headers)
        if self._propagate:
            context: dict[str, str] = {}
            _W3C.inject(context, set_span_in_context(self._call, Context()))
            headers = with_context(outgoing.headers, context)
        return UpstreamRequest(
            outgoing.method, outgoing.url, headers, outgoing.body, outgoing.signed_text
        )

    def end(self, exchange: Exchange) -> None:
        """The request has ended."""
        self._end_call(exchange)
        span, outcome = self._span, outcome_of(exchange)
        if exchange.status not in (0, CLIENT_LEFT):
            span.set_attribute("http.response.status_code", exchange.status)
        span.set_attribute("ovh_proxy.profile", exchange.profile)
        span.set_attribute("ovh_proxy.client", exchange.client)
        span.set_attribute("ovh_proxy.request_id", exchange.request_id)
        span.set_attribute("ovh_proxy.outcome", outcome)
        if exchange.code is not None:
            span.set_attribute("ovh_proxy.error_code", exchange.code)
        _fail(span, server_error(exchange.status, exchange.code, outcome))
        span.end()

    def _end_call(self, exchange: Exchange) -> None:
        call = self._call
        if call is None:
            return
        status, code, tries = exchange.upstream_status, exchange.code, exchange.attempts.count
        for name, value in call_end(status, code, tries, exchange.query_id).items():
            call.set_attribute(name, value)
        call.set_attribute("ovh_proxy.profile", exchange.profile)
        if call_error(status, code) is not None:
            call.set_status(Status(StatusCode.ERROR))
        # To the head of the answer, as `upstream_ms` of the log: what follows is the client's pace.
        call.end(self._call_began + int(exchange.upstream_s * 1e9))


class RequestTracing:
    """Begins and ends the spans of requests; the proxy's own routes get none."""

    def __init__(self, collector: SpanPipeline, propagate: bool) -> None:
        self._collector = collector
        self._propagate = propagate

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """Begins the span of a request, within the trace that the client names."""
        if request is None:
            return
        entry_point = connection.entry_point
        where = entry_point.listener.address
        address = where.path if isinstance(where, UnixAddress) else entry_point.address
        tracer = self._collector.tracer
        span = tracer.start_span(
            span_name(request.method),
            _W3C.extract(read_context(request.raw_headers), Context()),
            SpanKind.SERVER,
            server_start(
                request.method, request.raw_target, entry_point.scheme, address, entry_point.port
            ),
        )
        exchange.trace = RequestSpans(tracer, span, self._propagate)

    def end(self, exchange: Exchange) -> None:
        """Ends them; a span that is not ended is sent nowhere."""
        if exchange.trace is not None and not exchange.is_own_route:
            exchange.trace.end(exchange)

    async def close(self) -> None:
        """Sends what has not been sent, as far as there is time."""
        await self._collector.close()


def _fail(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
