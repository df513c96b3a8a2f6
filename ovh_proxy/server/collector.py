"""Sends spans where the OTEL_* variables say: in batches, in a thread, beside the requests."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from ovh_proxy import __version__
from ovh_proxy.logs import Log

# A stop waits this long for a collector, and no longer.
_FLUSH_S = 3.0


class SpanPipeline:
    """Makes spans, and hands those that have ended on.

    Attributes:
        tracer: makes them.
    """

    def __init__(
        self, log: Log, exporter: SpanExporter | None = None, flush_s: float = _FLUSH_S
    ) -> None:
        """
        Args:
            exporter: OTLP over HTTP by default.
            flush_s: how long `close` waits.

        Raises:
            ValueError: a variable has a value that is none of its own.
        """
        _silence()
        self._exporter = _ReportingExporter(
            OTLPSpanExporter() if exporter is None else exporter, log
        )
        self._flush_s = flush_s
        # Not at exit: an interpreter that ends would wait for half a minute.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("ovh_proxy", __version__)

    async def close(self) -> None:
        """Sends what is left, as far as there is time."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            if self._exporter.is_failing:
                self._exporter.shutdown()  # it is waiting for its next try
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended: it was too late
                loop.call_soon_threadsafe(done.set)

        # A thread of its own, and not one of the loop's, for whose end the loop would wait.
        threading.Thread(target=flush, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._flush_s):
                await done.wait()


class _ReportingExporter(SpanExporter):
    """Tells once that spans cannot be sent, and once that they are again.

    Attributes:
        is_failing: the last ones were not sent.
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
        except Exception:  # noqa: BLE001 - a file of certificates that is not there, say
            result = SpanExportResult.FAILURE
        is_failure = result is not SpanExportResult.SUCCESS
        self._lost += len(spans) if is_failure else 0
        if is_failure != self.is_failing:
            self.is_failing = is_failure
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._tell, is_failure, self._lost)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def _tell(self, is_failure: bool, lost: int) -> None:
        if is_failure:
            self._log.write(
                "warning", "spans cannot be sent; see OTEL_EXPORTER_OTLP_ENDPOINT", lost=lost
            )
        else:
            self._log.write("info", "spans are sent again", lost=lost)


def _resource() -> Resource:
    # What the variables say comes first; by itself the SDK says `unknown_service`.
    named = OTELResourceDetector().detect().attributes
    own = {"service.name": "ovh-proxy", "service.version": __version__}
    return Resource.create({**own, **named})


def _silence() -> None:
    """Keeps the SDK's own complaints from standard error: they name hosts, and come in floods."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers[:] = [logging.NullHandler()]
