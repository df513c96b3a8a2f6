"""Responses: status, headers, body; every error in OVHcloud's two shapes."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus


class Refusal(Exception):
    """A call that is not served.

    Attributes:
        code: OVHcloud's `errorCode`, or our own name if OVHcloud sends none.
        error_class: OVHcloud's `class`, such as `Client::Forbidden`.
        has_code: OVHcloud sends an `errorCode`, so the error exists in the old shape.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        error_class: str = "",
        has_code: bool = False,
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.error_class = error_class or class_of(status)
        self.has_code = has_code
        self.details = details

    @property
    def verdict(self) -> str:
        """The verdict as recorded with the request."""
        return f"refused: {self.code}"

    def body(self, shape: str) -> bytes:
        """The error as JSON, in the `old` shape if OVHcloud has it, else in the `new` one."""
        if shape == "old" and self.has_code:
            http_code = f"{self.status} {HTTPStatus(self.status).phrase}"
            fields = {"errorCode": self.code, "httpCode": http_code, "message": self.message}
            return json.dumps(fields).encode()
        response: dict[str, object] = {"class": self.error_class, "message": self.message}
        if self.details:
            response["details"] = dict(self.details)
        return json.dumps(response).encode()


ERROR_CLASSES = {
    400: "Client::BadRequest",
    401: "Client::Unauthorized",
    402: "Client::PaymentRequired",
    403: "Client::Forbidden",
    404: "Client::NotFound",
    409: "Client::Conflict",
    422: "Client::ValidationError",
    460: "Client::Expired",
    500: "Server::InternalServerError",
    501: "Server::NotImplemented",
}


def class_of(status: int) -> str:
    """The default error class of a status."""
    other = "Client::BadRequest" if status < 500 else "Server::ServiceUnavailable"
    return ERROR_CLASSES.get(status, other)


# Source: OVHcloud's responses as quoted in issues of its SDKs and of their users.
WITH_CODE = {
    "INVALID_KEY": (403, "This application key is invalid"),
    "INVALID_SIGNATURE": (400, "Invalid signature"),
    "QUERY_TIME_OUT": (400, "Query out of time"),
    "NOT_CREDENTIAL": (403, "This credential does not exist"),
    "INVALID_CREDENTIAL": (403, "This credential is not valid"),
    "NOT_GRANTED_CALL": (403, "This call has not been granted"),
    "FORBIDDEN": (403, "You are not allowed to make this call"),
}

# These exist only in the new shape, without a code; the names are ours.
WITHOUT_CODE = {
    "MISSING_CREDENTIAL": (401, "You must login first"),
    "INVALID_TOKEN": (401, "This token is invalid or has expired"),
    "USER_NOT_GRANTED": (403, "User not granted for this request"),
    "NOT_FOUND": (404, "Got an invalid (or empty) URL"),
}

DETAILS = {
    "USER_NOT_GRANTED": {
        "unauthorizedActionsByAuthentication": "",
        "unauthorizedActionsByIAM": "vps:apiovh:reboot",
    }
}


def refusal(code: str) -> Refusal:
    """The error with a code, and OVHcloud's status and message for it; KeyError if unknown."""
    status, message = (WITH_CODE | WITHOUT_CODE)[code]
    details = DETAILS.get(code)
    return Refusal(status, code, message, has_code=code in WITH_CODE, details=details)


def bad_request(message: str) -> Refusal:
    """The error for a malformed request."""
    return Refusal(400, "BAD_REQUEST", message)


def no_such(message: str) -> Refusal:
    """The error for a path to something that does not exist."""
    return Refusal(404, "NOT_FOUND", message)


JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """A response like OVHcloud's; the common headers are added when it is written.

    Attributes:
        pieces: the body in pieces, instead of `body`.
        length: of all pieces, in bytes; None sends them chunked.
        before: bytes to send before the response, such as an interim response.
    """

    status: int = 200
    body: bytes = b"null"
    content_type: str = JSON
    headers: Headers = ()
    pieces: AsyncIterator[bytes] | None = None
    length: int | None = None
    before: bytes = b""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A response that is sent unchanged, without additional headers.

    Attributes:
        is_last: only the end of the connection delimits the response.
    """

    raw: bytes
    is_last: bool


def json_response(value: object, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A 200 with a value as JSON, encoded like OVHcloud's."""
    return Response(
        body=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        headers=tuple(headers),
    )


def error_response(refused: Refusal, shape: str) -> Response:
    """An error in one of OVHcloud's shapes: `old` or `new`."""
    return Response(refused.status, refused.body(shape))


def html_response(body: str, status: int = 200) -> Response:
    return Response(status=status, body=body.encode(), content_type=HTML)


def common_headers(now: float) -> Headers:
    """The headers of every response."""
    return (
        ("Server", "OVH"),
        ("Date", formatdate(now, usegmt=True)),
        ("X-Ovh-Queryid", f"EU.ext-3.{uuid.uuid4().hex[:8]}.sandbox.{uuid.uuid4()}"),
        ("Access-Control-Allow-Origin", "*"),
    )
