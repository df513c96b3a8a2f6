"""Collectors that are slow, broken or away disturb nobody."""

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
    """Sets variables of this process."""

    def setting(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return setting


@pytest_asyncio.fixture
async def silent():
    """A port that takes connections, and answers nothing."""
    ends = []

    async def take(reader, writer):
        ends.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for end in ends:
        end.close()


async def test_spans_are_sent_while_requests_go_on(start, request_bytes, set_variables):
    async with otlp_receiver() as collector:
        set_variables({**collector.env, **SOON})
        front = await start(tracing=ON)

        await front.ask(request_bytes())

        assert len(await collector.until(2)) == 2


async def test_the_standard_headers_go_along(start, request_bytes, set_variables):
    async with otlp_receiver() as collector:
        set_variables({**collector.env, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=hush"})
        front = await start(tracing=ON)
        await front.ask(request_bytes())

        await front.end()

    assert b"x-key: hush" in collector.headers[0]
    assert "hush" not in front.log.getvalue()


async def test_a_collector_that_refuses_is_told_of_once_and_once_when_it_takes_again(
    start, request_bytes, set_variables, capfd
):
    async with otlp_receiver() as collector:
        collector.status = 400
        set_variables({**collector.env, **SOON})
        front = await start(tracing=ON)
        for count in (1, 2):
            await front.ask(request_bytes())
            await until(lambda count=count: collector.requests >= count)
        collector.status = 200
        await front.ask(request_bytes())
        await collector.until(1)
        await until(lambda: "sent again" in front.log.getvalue())

    told = [record for record in front.records if "spans" in record["message"]]
    assert [record["level"] for record in told] == ["warning", "info"]
    assert capfd.readouterr().err == ""


async def test_a_collector_that_hangs_holds_up_the_end_no_longer_than_its_bound(
    set_variables, silent, capfd
):
    set_variables({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent}"})
    collector = SpanPipeline(Log(), flush_s=0.2)
    collector.tracer.start_span("GET").end()
    began = time.monotonic()

    await collector.close()

    assert time.monotonic() - began < 2
    assert capfd.readouterr().err == ""


async def test_without_a_collector_requests_go_on_and_the_end_comes_at_once(
    start, request_bytes, set_variables, refusing_port, capfd
):
    gone = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{refusing_port}"}
    set_variables({**SOON, **gone})
    front = await start(tracing=ON)
    answers = [await front.ask(request_bytes()) for _ in range(2)]
    await until(lambda: "spans cannot be sent" in front.log.getvalue())
    began = time.monotonic()

    await front.end()

    assert [answer.status for answer in answers] == [200, 200]
    assert time.monotonic() - began < 2
    assert capfd.readouterr().err == ""


class Stubborn(SpanExporter):
    """Fails at once the first time, and then only when it is told to end."""

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


async def test_a_collector_that_is_known_to_be_away_is_not_waited_for(set_variables):
    set_variables(SOON)
    exporter, text = Stubborn(), io.StringIO()
    collector = SpanPipeline(Log(stream=text), exporter, flush_s=30)
    collector.tracer.start_span("GET").end()
    await until(lambda: "spans cannot be sent" in text.getvalue())
    collector.tracer.start_span("GET").end()
    await until(lambda: exporter.tries > 1)

    async with asyncio.timeout(10):
        await collector.close()

    assert text.getvalue().count("\n") == 1


async def test_a_missing_file_of_certificates_is_told_and_disturbs_nobody(
    start, request_bytes, set_variables, tmp_path
):
    gone = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.crt")}
    set_variables({**SOON, **gone, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"})
    front = await start(tracing=ON)

    answer = await front.ask(request_bytes())

    assert answer.status == 200
    await until(lambda: "spans cannot be sent" in front.log.getvalue())
