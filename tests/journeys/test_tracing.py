"""Spans of the real command, with one process and with several."""

import json
import sys
from pathlib import Path

import pytest
from support.command import write_store
from support.otlp import otlp_receiver
from support.refusing import refusing_port
from support.workers import proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

__all__ = ["refusing_port"]  # a fixture

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_process_sends_its_spans_before_it_exits(
    tmp_path: Path, sandbox: Sandbox, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, config = write_store(tmp_path, sandbox), tmp_path / "settings.yaml"
    config.write_text("tracing: {enabled: true}\n")

    async with otlp_receiver() as collector:
        flags = ("--config", str(config))
        for name, value in collector.env.items():
            monkeypatch.setenv(name, value)
        async with proxy_with_workers(tmp_path, store, *flags, workers=workers) as proxy:
            callers = await proxy.call_each() if workers > 1 else [await proxy.call()]
            for caller in callers:
                await caller.ask("/me")

    assert len(collector.of_kind("server")) == workers
    assert {span.parent_id for span in collector.of_kind("client")} == {
        span.span_id for span in collector.of_kind("server")
    }


async def test_a_missing_collector_is_reported_only_in_our_log(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, refusing_port: int
) -> None:
    store, config = write_store(tmp_path, sandbox), tmp_path / "settings.yaml"
    config.write_text("tracing: {enabled: true}\n")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{refusing_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    async with proxy_with_workers(tmp_path, store, "--config", str(config), workers=1) as proxy:
        response = await (await proxy.call()).ask("/me")
        await until(lambda: "cannot send spans" in (tmp_path / "log").read_text())

    messages = [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()]
    assert response.status == 200
    assert messages.count("cannot send spans; check OTEL_EXPORTER_OTLP_ENDPOINT") == 1
