"""OpenTelemetry's semantic conventions for a request, and the trace-context headers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ovh_proxy.core.redaction import printable, redact_path
from ovh_proxy.ovhcloud.messages import Headers

# W3C Trace Context sections 3.2 and 3.3, W3C Baggage section 3.
_PARENT, _STATE = b"traceparent", b"tracestate"

_ALL = frozenset({_PARENT, _STATE, b"baggage"})


def read_context(headers: Headers) -> dict[str, str]:
    """What a client says of the trace that it is in; empty where that has two readings.

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
    """The headers without a trace: it is nobody's business outside."""
    return tuple(line for line in headers if line[0].lower() not in _ALL)


def with_context(headers: Headers, context: Mapping[str, str]) -> Headers:
    """The headers with our part of the trace in the place of the client's."""
    kept = [line for line in headers if line[0].lower() not in (_PARENT, _STATE)]
    ours = [(name.encode("ascii"), value.encode("latin-1")) for name, value in context.items()]
    return (*kept, *ours)


Attributes = dict[str, str | int]


# Source: semantic conventions, http.request.method: these of RFC 9110, and PATCH of RFC 5789.
_KNOWN = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def span_name(method: str) -> str:
    """The name of a span: a path, of which there are too many, is not in it."""
    return method if method in _KNOWN else "HTTP"


def _method(method: str) -> Attributes:
    if method in _KNOWN:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def server_start(
    method: str, raw_target: bytes, scheme: str, address: str, port: int
) -> Attributes:
    """What is known of a client's request when it comes.

    Args:
        port: 0 on a unix socket.
    """
    where: Attributes = {"server.address": address}
    if port:
        where["server.port"] = port
    return {
        **_method(method),
        **where,
        "url.path": redact_path(raw_target),
        "url.scheme": scheme,
    }


def call_start(method: str, url: str) -> Attributes:
    """What is known of a call when it goes to OVHcloud."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return {
        **_method(method),
        "server.address": parts.hostname or "",
        "server.port": port,
        # Without its query, the values of which are written down nowhere.
        "url.full": printable(f"{parts.scheme}://{parts.netloc}{parts.path}"),
    }


def call_end(
    status: int | None, error: str | None, attempts: int, query_id: str | None
) -> Attributes:
    """What is known of a call at its end.

    Args:
        status: of OVHcloud's answer, if one came.
        error: the code of our own error, if none came.
        attempts: tries in all.
    """
    found: Attributes = {}
    if status is not None:
        found["http.response.status_code"] = status
    failed = call_error(status, error)
    if failed is not None:
        found["error.type"] = failed
    if attempts > 1:
        found["http.request.resend_count"] = attempts - 1
    if query_id is not None:
        found["ovh_proxy.query_id"] = printable(query_id)
    return found


def call_error(status: int | None, error: str | None) -> str | None:
    """What makes a call a failed one: for a client 4xx is a failure, too."""
    if status is not None:
        return str(status) if status >= 400 else None
    return error or "client_left"


def server_error(status: int, error: str | None, outcome: str) -> str | None:
    """What makes a request a failed one: for a server 4xx is the client's own matter."""
    if outcome == "cut":
        return error or "cut"
    if outcome == "client_left" or status < 500:
        return None
    return error or str(status)
