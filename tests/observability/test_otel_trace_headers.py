"""A client's trace context: continued by the proxy, and sent to OVHcloud only on request."""

import pytest

from ovh_proxy.core.settings import TracingSettings

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

pytestmark = pytest.mark.asyncio

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ON = TracingSettings(enabled=True)


@pytest.mark.parametrize(
    ("lines", "propagate", "crossed"),
    [
        pytest.param((), False, set(), id="not forwarded"),
        pytest.param(("Baggage: user=hudson", "tracestate: a=1"), False, set(), id="all headers"),
        pytest.param((), True, {"traceparent"}, id="forwarded"),
        pytest.param(
            ("Baggage: user=hudson", "tracestate: a=1"),
            True,
            {"traceparent", "tracestate", "baggage"},
            id="all headers forwarded",
        ),
    ],
)
async def test_a_clients_trace_is_continued_and_sent_to_ovhcloud_only_if_enabled(
    start, upstream, collector, request_bytes, lines, propagate, crossed
):
    proxy_server = await start(tracing=TracingSettings(enabled=True, propagate=propagate))
    await proxy_server.ask(request_bytes("/me", "GET", f"TraceParent: {PARENT}", *lines))

    await proxy_server.end()

    [server], [call] = collector.of_kind("server"), collector.of_kind("client")
    assert (server.trace_id, server.parent_id) == (TRACE, "b7ad6b7169203331")
    [request] = upstream.requests
    names = {"traceparent", "tracestate", "baggage"}
    assert {name for name in names if request.values(name)} == crossed
    if propagate:
        assert request.values("traceparent") == [f"00-{TRACE}-{call.span_id}-01"]
        assert request.values("tracestate") == (["a=1"] if lines else [])


async def test_without_tracing_a_clients_trace_is_forwarded_like_any_header(
    start, upstream, collector, request_bytes
):
    proxy_server = await start()

    await proxy_server.ask(request_bytes("/me", "GET", f"TraceParent: {PARENT}"))

    await proxy_server.end()
    assert upstream.requests[0].values("traceparent") == [PARENT]
    assert collector.requests == 0


@pytest.mark.parametrize(
    "lines",
    [("traceparent: hush",), (f"traceparent: {PARENT}",) * 2, ("tracestate: a=1",)],
    ids=["malformed", "twice", "no parent"],
)
async def test_an_invalid_trace_context_starts_a_new_trace(
    start, upstream, collector, request_bytes, lines
):
    proxy_server = await start(tracing=ON)
    answer = await proxy_server.ask(request_bytes("/me", "GET", *lines))

    await proxy_server.end()

    [server] = collector.of_kind("server")
    assert answer.status == 200
    assert server.parent_id == ""
    assert server.trace_id != TRACE
