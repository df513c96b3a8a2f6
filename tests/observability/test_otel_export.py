"""Collectors that are slow, broken or unreachable do not affect requests."""

import asyncio
import io
import threading
import time

import pytest
import pytest_asyncio
from support.otlp import otlp_receiver
from support.refusing import refusing_port
from support.workers import until

from ovh_proxy.core.settings import TracingSettings
from ovh_proxy.logs import Log

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ovh_proxy.observability.otel import SpanPipeline

__all__ = ["refusing_port"]  # a fixture
pytestmark = pytest.mark.asyncio

ON = TracingSettings(enabled=True)
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}


@pytest.fixture
def set_variables(monkeypatch):
    """Sets environment variables."""

    def setting(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return setting


@pytest_asyncio.fixture
async def silent():
    """A port that accepts connections, but never responds."""
    writers = []

    async def accept(reader, writer):
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()


async def test_spans_are_sent_while_requests_are_served(start, request_bytes, set_variables):
    async with otlp_receiver() as collector:
        set_variables({**collector.env, **SOON})
        proxy_server = await start(tracing=ON)

        await proxy_server.ask(request_bytes())

        assert len(await collector.until(2)) == 2


async def test_the_configured_headers_are_sent(start, request_bytes, set_variables):
    async with otlp_receiver() as collector:
        set_variables({**collector.env, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=hush"})
        proxy_server = await start(tracing=ON)
        await proxy_server.ask(request_bytes())

        await proxy_server.end()

    assert b"x-key: hush" in collector.headers[0]
    assert "hush" not in proxy_server.log.getvalue()


async def test_a_failing_collector_is_logged_once_and_its_recovery_once(
    start, request_bytes, set_variables, capfd
):
    async with otlp_receiver() as collector:
        collector.status = 400
        set_variables({**collector.env, **SOON})
        proxy_server = await start(tracing=ON)
        for count in (1, 2):
            await proxy_server.ask(request_bytes())
            await until(lambda count=count: collector.requests >= count)
        collector.status = 200
        await proxy_server.ask(request_bytes())
        await collector.until(1)
        await until(lambda: "sent again" in proxy_server.log.getvalue())

    logged = [record for record in proxy_server.records if "spans" in record["message"]]
    assert [record["level"] for record in logged] == ["warning", "info"]
    assert capfd.readouterr().err == ""


async def test_a_hanging_collector_delays_shutdown_for_a_limited_time(set_variables, silent, capfd):
    set_variables({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent}"})
    pipeline = SpanPipeline(Log(), flush_s=0.2)
    pipeline.tracer.start_span("GET").end()
    began = time.monotonic()

    await pipeline.close()

    assert time.monotonic() - began < 2
    assert capfd.readouterr().err == ""


async def test_without_a_collector_requests_are_served_and_shutdown_is_immediate(
    start, request_bytes, set_variables, refusing_port, capfd
):
    unreachable = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{refusing_port}"}
    set_variables({**SOON, **unreachable})
    proxy_server = await start(tracing=ON)
    answers = [await proxy_server.ask(request_bytes()) for _ in range(2)]
    await until(lambda: "cannot send spans" in proxy_server.log.getvalue())
    began = time.monotonic()

    await proxy_server.end()

    assert [answer.status for answer in answers] == [200, 200]
    assert time.monotonic() - began < 2
    assert capfd.readouterr().err == ""


class HangingExporter(SpanExporter):
    """Fails immediately at the first export; later exports hang until the shutdown."""

    def __init__(self):
        self.tries = 0
        self._is_over = threading.Event()

    def export(self, spans):
        self.tries += 1
        if self.tries > 1:
            self._is_over.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self):
        self._is_over.set()


async def test_shutdown_does_not_wait_for_a_failing_collector(set_variables):
    set_variables(SOON)
    exporter, text = HangingExporter(), io.StringIO()
    pipeline = SpanPipeline(Log(stream=text), exporter, flush_s=30)
    pipeline.tracer.start_span("GET").end()
    await until(lambda: "cannot send spans" in text.getvalue())
    pipeline.tracer.start_span("GET").end()
    await until(lambda: exporter.tries > 1)

    async with asyncio.timeout(10):
        await pipeline.close()

    assert text.getvalue().count("\n") == 1


async def test_a_missing_certificate_file_is_logged_and_requests_are_served(
    start, request_bytes, set_variables, tmp_path
):
    unreachable = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.crt")}
    set_variables({**SOON, **unreachable, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"})
    proxy_server = await start(tracing=ON)

    answer = await proxy_server.ask(request_bytes())

    assert answer.status == 200
    await until(lambda: "cannot send spans" in proxy_server.log.getvalue())
