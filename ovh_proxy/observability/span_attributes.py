"""OpenTelemetry's semantic conventions for a request, and the trace-context headers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ovh_proxy.core.redaction import printable, redact_path
from ovh_proxy.ovhcloud.messages import Headers

# W3C Trace Context sections 3.2 and 3.3, W3C Baggage section 3.
_PARENT, _STATE = b"traceparent", b"tracestate"
_ALL = frozenset({_PARENT, _STATE, b"baggage"})


def read_context(headers: Headers) -> dict[str, str]:
    """Returns the trace context that a client sends; empty if it is ambiguous.

    Source: W3C Trace Context section 3.3.1: several tracestate fields are one list.
    """
    parents = [value for name, value in headers if name.lower() == _PARENT]
    if len(parents) != 1:
        return {}
    states = [value for name, value in headers if name.lower() == _STATE]
    context = {"traceparent": parents[0].decode("latin-1")}
    if states:
        context["tracestate"] = b",".join(states).decode("latin-1")
    return context


def without_context(headers: Headers) -> Headers:
    """Returns the headers without the trace context, which stays internal."""
    return tuple(line for line in headers if line[0].lower() not in _ALL)


def with_context(headers: Headers, context: Mapping[str, str]) -> Headers:
    """Returns the headers with the proxy's trace context in place of the client's."""
    others = [line for line in headers if line[0].lower() not in (_PARENT, _STATE)]
    added = [(name.encode("ascii"), value.encode("latin-1")) for name, value in context.items()]
    return (*others, *added)


Attributes = dict[str, str | int]
# Source: semantic conventions, http.request.method: those of RFC 9110, and PATCH of RFC 5789.
_KNOWN_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


def span_name(method: str) -> str:
    """Returns the name of a span, without the path: there are too many different paths."""
    return method if method in _KNOWN_METHODS else "HTTP"


def _method(method: str) -> Attributes:
    if method in _KNOWN_METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def server_start(
    method: str, raw_target: bytes, scheme: str, address: str, port: int
) -> Attributes:
    """Returns the attributes of a client's request at its start.

    Args:
        port: 0 on a unix socket.
    """
    server: Attributes = {"server.address": address}
    if port:
        server["server.port"] = port
    return {
        **_method(method),
        **server,
        "url.path": redact_path(raw_target),
        "url.scheme": scheme,
    }


def call_start(method: str, url: str) -> Attributes:
    """Returns the attributes of a call to OVHcloud at its start."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return {
        **_method(method),
        "server.address": parts.hostname or "",
        "server.port": port,
        # Without the query: its values are never recorded.
        "url.full": printable(f"{parts.scheme}://{parts.netloc}{parts.path}"),
    }


def call_end(
    status: int | None, error: str | None, attempts: int, query_id: str | None
) -> Attributes:
    """Returns the attributes of a call to OVHcloud at its end.

    Args:
        status: of OVHcloud's response, if there is one.
        error: otherwise the code of the proxy's own error.
        attempts: including the first.
    """
    attributes: Attributes = {}
    if status is not None:
        attributes["http.response.status_code"] = status
    error_type = call_error(status, error)
    if error_type is not None:
        attributes["error.type"] = error_type
    if attempts > 1:
        attributes["http.request.resend_count"] = attempts - 1
    if query_id is not None:
        attributes["ovh_proxy.query_id"] = printable(query_id)
    return attributes


def call_error(status: int | None, error: str | None) -> str | None:
    """Returns why a call failed, if it did: for a client, 4xx is a failure."""
    if status is not None:
        return str(status) if status >= 400 else None
    return error or "client_left"


def server_error(status: int, error: str | None, outcome: str) -> str | None:
    """Returns why a request failed, if it did: for a server, 4xx is no failure."""
    if outcome == "cut":
        return error or "cut"
    if outcome == "client_left" or status < 500:
        return None
    return error or str(status)
