"""What has to be there for traces, and what the standard variables may say."""

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
async def test_without_the_extra_it_is_told_what_to_install(monkeypatch, missing):
    monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(UsageError, match=r"pip install 'ovh-proxy\[otel\]'"):
        is_traced(ON, {})


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "otlp and none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
async def test_what_the_variables_ask_for_and_nobody_has_is_told(variables, told):
    with pytest.raises(UsageError, match=told):
        is_traced(ON, variables)


async def test_a_variable_without_sense_is_told_without_its_value(monkeypatch):
    variables = {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "hush"}
    monkeypatch.setenv(*next(iter(variables.items())))

    with pytest.raises(UsageError, match="OTEL_") as told:
        open_tracing(ON, variables, Log())

    assert "hush" not in str(told.value)
