"""An OpenTelemetry collector on loopback that receives spans over OTLP/HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from support.workers import until


@dataclass(frozen=True, slots=True)
class Received:
    """A received span; IDs in hexadecimal."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    seconds: float
    attributes: dict[str, Any]


@dataclass(slots=True)
class OtlpReceiver:
    """Records received spans.

    Attributes:
        status: of its responses.
        requests: received requests so far.
    """

    port: int = 0
    status: int = 200
    requests: int = 0
    spans: list[Received] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables for this collector."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    async def until(self, count: int) -> list[Received]:
        """Waits for this many spans, and returns them."""
        await until(lambda: len(self.spans) >= count)
        return self.spans

    def of_kind(self, kind: str) -> list[Received]:
        """Returns the spans of kind server or client."""
        return [span for span in self.spans if span.kind == kind]

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.headers.append(head)
                self.requests += 1
                if self.status == 200:
                    self._note(body)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.status)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _note(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_attributes(part.resource.attributes))
            for scope in part.scope_spans:
                self.spans += map(_received, scope.spans)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in pairs}


def _received(span: Any) -> Received:
    return Received(
        span.name,
        {2: "server", 3: "client"}[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == 2,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        _attributes(span.attributes),
    )


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[OtlpReceiver]:
    """Runs one until the end of the block."""
    receiver = OtlpReceiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
