"""The requirements of tracing, and the supported values of the standard variables."""

import sys

import pytest

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import TracingSettings
from ovh_proxy.logs import Log
from ovh_proxy.observability.observers import is_traced, open_tracing

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

pytestmark = pytest.mark.asyncio

ON = TracingSettings(enabled=True)


@pytest.mark.parametrize(
    "missing",
    ["opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http.trace_exporter"],
    ids=["all of it", "the exporter"],
)
async def test_without_the_extra_the_error_says_what_to_install(monkeypatch, missing):
    monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(UsageError, match=r"pip install 'ovh-proxy\[otel\]'"):
        is_traced(ON, {})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "'zipkin'; use otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTLP_PROTOCOL.*'grpc'; use http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "TRACES_PROTOCOL.*'grpc'"),
    ],
)
async def test_unsupported_values_of_the_variables_are_reported(variables, expected):
    with pytest.raises(UsageError, match=expected):
        is_traced(ON, variables)


async def test_an_invalid_variable_is_reported_without_its_value(monkeypatch):
    variables = {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "hush"}
    monkeypatch.setenv(*next(iter(variables.items())))

    with pytest.raises(UsageError, match="OTEL_") as raised:
        open_tracing(ON, variables, Log())

    assert "hush" not in str(raised.value)
