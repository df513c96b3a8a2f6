"""Responses to clients: status line and headers as bytes, JSON and error responses of our own."""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.ovhcloud.messages import Headers

REQUEST_ID = b"X-Ovh-Proxy-Request-Id"
# Browsers must not take our responses for pages or scripts.
_NOSNIFF = (b"X-Content-Type-Options", b"nosniff")


@dataclass(frozen=True, slots=True)
class ResponseSent:
    """A response that was written.

    Attributes:
        keep_alive: whether the client's connection serves another request.
    """

    keep_alive: bool


KEEP_ALIVE, CLOSE = ResponseSent(keep_alive=True), ResponseSent(keep_alive=False)


@dataclass(frozen=True, slots=True)
class LocalResponse:
    """A response that the proxy itself creates.

    Attributes:
        closes: whether the client's connection is closed after it.
    """

    status: int
    headers: Headers
    body: bytes
    closes: bool = False

    def to_bytes(self, request_id: str, connection: bytes | None, is_head: bool) -> bytes:
        """Returns the whole response."""
        headers = (*self.headers, _NOSNIFF, (b"Content-Length", b"%d" % len(self.body)))
        reason = HTTPStatus(self.status).phrase.encode("ascii")
        head = head_bytes(self.status, reason, headers, request_id, connection)
        return head if is_head else head + self.body


def json_response(status: int, value: object, headers: Headers = ()) -> LocalResponse:
    """Returns a JSON response; it ends with a line break, for terminals."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    typed = ((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"), *headers)
    return LocalResponse(status, typed, body)


def error_response(error: OvhProxyError, request_id: str) -> LocalResponse:
    """Returns an error as OVHcloud's SDKs expect it; a header marks it as the proxy's own."""
    value = {
        "class": f"OvhProxy::{error.code}",
        "errorCode": error.code,
        "message": str(error),
        "requestId": request_id,
    }
    headers = ((b"X-Ovh-Proxy-Error", error.code.encode()), *error.headers)
    return replace(json_response(error.status, value, headers), closes=error.closes)


def connection_option(*, keep_alive: bool, is_http_1_0: bool) -> bytes | None:
    """Returns the value of the response's `Connection` header; None for the default."""
    if not keep_alive:
        return b"close"
    # RFC 9112 section 9.3: otherwise an HTTP/1.0 client would wait for the connection to close.
    return b"keep-alive" if is_http_1_0 else None


def head_bytes(
    status: int, reason: bytes, headers: Headers, request_id: str, connection: bytes | None
) -> bytes:
    """Returns the head with our headers at the end; HTTP/1.1, as RFC 9110 section 2.5 requires."""
    lines = [b"HTTP/1.1 %d %s" % (status, reason), *map(b": ".join, headers)]
    lines.append(REQUEST_ID + b": " + request_id.encode("ascii"))
    if connection is not None:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n"


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
