"""Spans of requests, as a collector receives them."""

import pytest

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.settings import Retries, TcpAddress, TracingSettings

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

pytestmark = pytest.mark.asyncio

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ON = TracingSettings(enabled=True)


async def test_a_request_is_a_span_and_its_call_a_child(start, upstream, collector, request_bytes):
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nX-Ovh-QueryID: EU.ext-1.abc\r\nContent-Length: 2\r\n\r\nhi"
    )
    proxy_server = await start(tracing=ON)
    answer = await proxy_server.ask(request_bytes("/me?a=hush", "PUT", body=b"hush"))

    await proxy_server.end()

    [server], [call] = collector.of_kind("server"), collector.of_kind("client")
    assert (server.name, call.name) == ("PUT", "PUT")
    assert (server.parent_id, call.parent_id) == ("", server.span_id)
    assert call.trace_id == server.trace_id
    assert 0 < call.seconds <= server.seconds
    assert server.attributes == {
        "http.request.method": "PUT",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": proxy_server.port,
        "url.path": "/me",
        "url.scheme": "http",
        "ovh_proxy.client": "-",
        "ovh_proxy.outcome": "relayed",
        "ovh_proxy.profile": "personal",
        "ovh_proxy.request_id": answer.value("X-Ovh-Proxy-Request-Id"),
    }
    assert call.attributes == {
        "http.request.method": "PUT",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": upstream.port,
        "url.full": f"http://127.0.0.1:{upstream.port}/1.0/me",
        "ovh_proxy.profile": "personal",
        "ovh_proxy.query_id": "EU.ext-1.abc",
    }
    assert [span.is_error for span in collector.spans] == [False, False]


async def test_spans_have_the_service_name(start, collector, request_bytes, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    proxy_server = await start(tracing=ON)
    await proxy_server.ask(request_bytes())

    await proxy_server.end()

    assert collector.resources[0]["service.name"] == "ovh-proxy"
    assert collector.resources[0]["deployment.environment.name"] == "lab"


async def test_the_standard_variable_sets_the_service_name(
    start, collector, request_bytes, monkeypatch
):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    proxy_server = await start(tracing=ON)
    await proxy_server.ask(request_bytes())

    await proxy_server.end()

    assert collector.resources[0]["service.name"] == "gateway"


async def test_a_rejected_request_is_a_span_without_a_call(
    start, upstream, collector, make_profile, make_store, request_bytes
):
    narrow = make_profile(access_rules=tuple(parse_access_rule("GET /ip")))
    proxy_server = await start(tracing=ON, store=make_store(narrow))
    await proxy_server.ask(request_bytes("/me?a=hush"))

    await proxy_server.end()

    [span] = collector.spans
    assert span.kind == "server"
    assert span.attributes["http.response.status_code"] == 403
    assert span.attributes["ovh_proxy.outcome"] == "refused"
    assert span.attributes["ovh_proxy.error_code"] == "ACCESS_DENIED"
    assert not span.is_error  # the client's own matter
    assert upstream.requests == []


async def test_a_failed_call_is_an_error_of_both_spans(start, upstream, collector, request_bytes):
    async def hang_up(_, side):
        side.end()

    upstream.answering = hang_up
    proxy_server = await start(tracing=ON, retries=Retries(attempts=1))
    await proxy_server.ask(request_bytes("/me", "POST", body=b"{}"))

    await proxy_server.end()

    [server], [call] = collector.of_kind("server"), collector.of_kind("client")
    assert server.is_error
    assert call.is_error
    assert server.attributes["error.type"] == "UPSTREAM_BROKEN"
    assert call.attributes["error.type"] == "UPSTREAM_BROKEN"
    assert "http.response.status_code" not in call.attributes


async def test_a_404_of_ovhcloud_is_an_error_of_the_client_span_only(
    start, upstream, collector, request_bytes
):
    upstream.answers(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    proxy_server = await start(tracing=ON)
    await proxy_server.ask(request_bytes("/nothing"))

    await proxy_server.end()

    [server], [call] = collector.of_kind("server"), collector.of_kind("client")
    assert (call.is_error, call.attributes["error.type"]) == (True, "404")
    assert not server.is_error


async def test_own_routes_and_invalid_input_have_no_span(start, collector, request_bytes):
    proxy_server = await start(tracing=ON, admin_listen=TcpAddress("127.0.0.1", 0))
    await proxy_server.ask(request_bytes("/-/healthz"))
    await proxy_server.ask(request_bytes("/healthz"), 1)
    await proxy_server.ask(b"no HTTP at all\r\n\r\n")

    await proxy_server.end()

    assert collector.spans == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")],
)
async def test_the_standard_variables_disable_tracing(
    start, upstream, collector, request_bytes, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    proxy_server = await start(tracing=ON)
    await proxy_server.ask(request_bytes("/me", "GET", f"traceparent: {PARENT}"))

    await proxy_server.end()

    assert collector.requests == 0
    assert upstream.requests[0].values("traceparent") == [PARENT]


async def test_spans_that_are_not_sampled_are_not_sent(
    start, collector, request_bytes, monkeypatch
):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    proxy_server = await start(tracing=ON)
    answer = await proxy_server.ask(request_bytes())

    await proxy_server.end()

    assert (answer.status, collector.requests) == (200, 0)
