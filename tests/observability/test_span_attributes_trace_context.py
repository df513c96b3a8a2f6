"""Reading and replacing the trace context in headers."""

import pytest

from ovh_proxy.observability.span_attributes import read_context, with_context, without_context

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OURS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}
HEADERS = (
    (b"Accept", b"*/*"),
    (b"TraceParent", PARENT.encode()),
    (b"tracestate", b"a=1"),
    (b"Baggage", b"user=hudson"),
    (b"X-Trace", b"1"),
)


@pytest.mark.parametrize(
    ("headers", "context"),
    [
        pytest.param((), {}, id="none"),
        pytest.param(HEADERS[:2], {"traceparent": PARENT}, id="any spelling"),
        pytest.param(HEADERS, {"traceparent": PARENT, "tracestate": "a=1"}, id="with a state"),
        pytest.param(
            (*HEADERS, (b"TRACESTATE", b"b=2")),
            {"traceparent": PARENT, "tracestate": "a=1,b=2"},
            id="several states are one list",
        ),
        pytest.param(HEADERS[2:], {}, id="a state alone"),
        pytest.param((*HEADERS, HEADERS[1]), {}, id="two parents are none"),
        pytest.param(((b"traceparent", b"\xff"),), {"traceparent": "\xff"}, id="any byte"),
    ],
)
def test_a_clients_trace_context_is_read(headers, context):
    assert read_context(headers) == context


def test_the_trace_context_and_its_baggage_are_removed():
    assert without_context(HEADERS) == (HEADERS[0], HEADERS[4])


def test_the_proxys_trace_context_replaces_the_clients():
    headers = with_context(HEADERS, OURS)

    assert headers == (
        HEADERS[0],
        HEADERS[3],
        HEADERS[4],
        (b"traceparent", OURS["traceparent"].encode()),
    )
