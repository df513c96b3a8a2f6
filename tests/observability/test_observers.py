"""Observers as the settings enable them: opened at the start, with metrics."""

import os
import sys

import pytest
from support.workers import until

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import LogSettings, TracingSettings

pytestmark = pytest.mark.asyncio


async def test_the_largest_line_fits_into_one_write(start, upstream, tmp_path):
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nX-Ovh-QueryID: " + b'"' * 8000 + b"\r\nContent-Length: 0\r\n\r\n"
    )
    path = tmp_path / "audit.log"
    proxy_server = await start(log=LogSettings(audit=str(path)))

    await proxy_server.ask(
        b"GET /"
        + b'"' * 8000
        + b" HTTP/1.1\r\nHost: localhost\r\nX-Ovh-Proxy-Request-Id: "
        + b"x" * 128
        + b"\r\n\r\n"
    )

    await until(lambda: path.read_bytes().endswith(b"\n"))
    assert len(path.read_bytes()) < 4096


async def test_an_audit_file_that_cannot_be_opened_fails_the_start_before_binding(
    start, tmp_path, unix_listener
):
    path = tmp_path / "audit.log"
    path.mkdir()

    with pytest.raises(UsageError, match=r"log\.audit"):
        await start(log=LogSettings(audit=str(path)), listen=(unix_listener,))

    assert not os.path.lexists(unix_listener.address.path)


async def test_lost_audit_lines_are_counted(start, tmp_path, request_bytes):
    proxy_server = await start(log=LogSettings(audit=str(tmp_path / "audit.log")))

    answer = await proxy_server.ask(request_bytes("/-/metrics"))

    assert b"\novh_proxy_audit_lines_lost_total 0.0\n" in answer.body


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
async def test_tracing_that_cannot_start_fails_the_start_and_leaves_no_file_open(
    start, tmp_path, unix_listener, monkeypatch
):
    path = tmp_path / "audit.log"
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")

    with pytest.raises(UsageError, match="OTEL_TRACES_EXPORTER"):
        await start(
            log=LogSettings(audit=str(path)),
            tracing=TracingSettings(enabled=True),
            listen=(unix_listener,),
        )

    opened = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    assert path.exists()
    assert str(path) not in opened
    assert not os.path.lexists(unix_listener.address.path)
