"""OpenTelemetry: the spans of a request, and their export in batches."""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ovh_proxy import __version__
from ovh_proxy.core.settings import UnixAddress
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import CLIENT_LEFT, Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.logs import Log
from ovh_proxy.observability.counters import outcome_of
from ovh_proxy.observability.span_attributes import (
    call_end,
    call_error,
    call_start,
    read_context,
    server_error,
    server_start,
    span_name,
    with_context,
    without_context,
)
from ovh_proxy.ovhcloud.messages import UpstreamRequest

# How long a shutdown waits for the collector.
_FLUSH_S = 3.0


class SpanPipeline:
    """Creates spans and exports them when they have ended.

    Attributes:
        tracer: creates the spans.
    """

    def __init__(
        self, log: Log, exporter: SpanExporter | None = None, flush_s: float = _FLUSH_S
    ) -> None:
        """
        Args:
            exporter: OTLP over HTTP by default.
            flush_s: how long `close` waits.

        Raises:
            ValueError: an OTEL_* variable has an invalid value.
        """
        _silence()
        self._exporter = _ReportingExporter(
            OTLPSpanExporter() if exporter is None else exporter, log
        )
        self._flush_s = flush_s
        # Not at exit: the interpreter would wait for half a minute.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("ovh_proxy", __version__)

    async def close(self) -> None:
        """Sends the remaining spans, within a limited time."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            if self._exporter.is_failing:
                self._exporter.shutdown()  # it is waiting for its next attempt
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(done.set)

        # Not a thread of the loop's executor: the loop would wait for its end.
        threading.Thread(target=flush, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._flush_s):
                await done.wait()


class _ReportingExporter(SpanExporter):
    """Logs once that spans cannot be sent, and once that they are sent again.

    Attributes:
        is_failing: the last spans were not sent.
    """

    def __init__(self, inner: SpanExporter, log: Log) -> None:
        self._inner = inner
        self._log = log
        self._loop = asyncio.get_running_loop()
        self.is_failing = False
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception:  # noqa: BLE001 - for example a missing certificate file
            result = SpanExportResult.FAILURE
        is_failure = result is not SpanExportResult.SUCCESS
        self._lost += len(spans) if is_failure else 0
        if is_failure != self.is_failing:
            self.is_failing = is_failure
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._report, is_failure, self._lost)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def _report(self, is_failure: bool, lost: int) -> None:
        if is_failure:
            self._log.write(
                "warning", "cannot send spans; check OTEL_EXPORTER_OTLP_ENDPOINT", lost=lost
            )
        else:
            self._log.write("info", "spans are sent again", lost=lost)


def _resource() -> Resource:
    # The variables take precedence; without ours, the service would be `unknown_service`.
    named = OTELResourceDetector().detect().attributes
    own = {"service.name": "ovh-proxy", "service.version": __version__}
    return Resource.create({**own, **named})


def _silence() -> None:
    """Silences the SDK's own log records: they contain host names, and there are very many."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers[:] = [logging.NullHandler()]


_W3C = TraceContextTextMapPropagator()


class RequestSpans:
    """The spans of one request."""

    def __init__(self, tracer: Tracer, span: Span, propagate: bool) -> None:
        self._tracer = tracer
        self._span = span
        self._propagate = propagate
        self._call: Span | None = None
        self._call_began = 0

    def begin_call(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """Starts the span of the call to OVHcloud; returns it with or without trace headers."""
        parent = set_span_in_context(self._span, Context())
        self._call_began = time.time_ns()
        self._call = self._tracer.start_span(
            span_name(outgoing.method),
            parent,
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
        """Ends the spans of the request."""
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
        # Ends at the head of the response, as `upstream_ms` in the log: the rest depends on how
        # fast the client reads.
        call.end(self._call_began + int(exchange.upstream_s * 1e9))


class RequestTracing:
    """Starts and ends the spans of requests; the proxy's own routes get none."""

    def __init__(self, pipeline: SpanPipeline, propagate: bool) -> None:
        self._pipeline = pipeline
        self._propagate = propagate

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """Starts the span of a request, within the client's trace if it sent one."""
        if request is None:
            return
        entry_point = connection.entry_point
        listening = entry_point.listener.address
        address = listening.path if isinstance(listening, UnixAddress) else entry_point.address
        tracer = self._pipeline.tracer
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
        """Ends the spans; a span that is not ended is not sent."""
        if exchange.trace is not None and not exchange.is_own_route:
            exchange.trace.end(exchange)

    async def close(self) -> None:
        """Sends the remaining spans, within a limited time."""
        await self._pipeline.close()


def _fail(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
