"""Responses to clients: status line and headers as bytes, JSON and error responses of our own."""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.ovhcloud.messages import Headers

REQUEST_ID = b"X-Ovh-Proxy-Request-Id"
# No browser may take what we answer for a page or a script.
_NOSNIFF = (b"X-Content-Type-Options", b"nosniff")


@dataclass(frozen=True, slots=True)
class ResponseSent:
    """What is left to know of an answer that has been written.

    Attributes:
        keep_alive: whether the client's connection serves another request.
    """

    keep_alive: bool


KEPT, CLOSED = ResponseSent(keep_alive=True), ResponseSent(keep_alive=False)


@dataclass(frozen=True, slots=True)
class LocalResponse:
    """An answer of the proxy itself.

    Attributes:
        closes: whether the client's connection ends with it.
    """

    status: int
    headers: Headers
    body: bytes
    closes: bool = False

    def to_bytes(self, request_id: str, connection: bytes | None, is_head: bool) -> bytes:
        """The whole answer, ready to write."""
        headers = (*self.headers, _NOSNIFF, (b"Content-Length", b"%d" % len(self.body)))
        head = head_bytes(self.status, _reason(self.status), headers, request_id, connection)
        return head if is_head else head + self.body


def json_response(status: int, value: object, headers: Headers = ()) -> LocalResponse:
    """An answer in JSON; a line break at its end is kind to terminals."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    typed = ((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"), *headers)
    return LocalResponse(status, typed, body)


def error_response(error: OvhProxyError, request_id: str) -> LocalResponse:
    """An error in the shape that OVHcloud's SDKs read, and told from OVHcloud's by a header."""
    value = {
        "class": f"OvhProxy::{error.code}",
        "errorCode": error.code,
        "message": str(error),
        "requestId": request_id,
    }
    headers = ((b"X-Ovh-Proxy-Error", error.code.encode()), *error.headers)
    return replace(json_response(error.status, value, headers), closes=error.closes)


def connection_option(*, keep_alive: bool, is_http_1_0: bool) -> bytes | None:
    """What the answer's `Connection` says, or None where it says what goes without saying."""
    if not keep_alive:
        return b"close"
    # RFC 9112 section 9.3: an HTTP/1.0 client that is not told so reads on until the end.
    return b"keep-alive" if is_http_1_0 else None


def head_bytes(
    status: int, reason: bytes, headers: Headers, request_id: str, connection: bytes | None
) -> bytes:
    """Status line and headers with ours at the end; HTTP/1.1, as RFC 9110 section 2.5 has it."""
    lines = [b"HTTP/1.1 %d %s" % (status, reason), *map(b": ".join, headers)]
    lines.append(REQUEST_ID + b": " + request_id.encode("ascii"))
    if connection is not None:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _reason(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode("ascii")


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
