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
        code: OVHcloud's `errorCode`, or a name of ours where OVHcloud gives none.
        error_class: OVHcloud's `class`, such as `Client::Forbidden`.
        has_code: OVHcloud sends an `errorCode`, so that the old shape can tell this error.
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
        """What the record says of the request."""
        return f"refused: {self.code}"

    def body(self, shape: str) -> bytes:
        """The error as JSON, in the `old` shape where OVHcloud has one, or in the `new`."""
        if shape == "old" and self.has_code:
            http_code = f"{self.status} {HTTPStatus(self.status).phrase}"
            fields = {"errorCode": self.code, "httpCode": http_code, "message": self.message}
            return json.dumps(fields).encode()
        answer: dict[str, object] = {"class": self.error_class, "message": self.message}
        if self.details:
            answer["details"] = dict(self.details)
        return json.dumps(answer).encode()


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
    """The error class that goes with a status, when nothing more is known."""
    other = "Client::BadRequest" if status < 500 else "Server::ServiceUnavailable"
    return ERROR_CLASSES.get(status, other)


# Source: OVHcloud's answers as quoted in the issues of its SDKs and their users.
WITH_CODE = {
    "INVALID_KEY": (403, "This application key is invalid"),
    "INVALID_SIGNATURE": (400, "Invalid signature"),
    "QUERY_TIME_OUT": (400, "Query out of time"),
    "NOT_CREDENTIAL": (403, "This credential does not exist"),
    "INVALID_CREDENTIAL": (403, "This credential is not valid"),
    "NOT_GRANTED_CALL": (403, "This call has not been granted"),
    "FORBIDDEN": (403, "You are not allowed to make this call"),
}


# These come in the new shape alone, without a code; the names are ours.
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
    """The error of that code, with OVHcloud's status and message. KeyError if there is none."""
    status, message = (WITH_CODE | WITHOUT_CODE)[code]
    details = DETAILS.get(code)
    return Refusal(status, code, message, has_code=code in WITH_CODE, details=details)


def bad_request(message: str) -> Refusal:
    """A request that OVHcloud could not make sense of."""
    return Refusal(400, "BAD_REQUEST", message)


def no_such(message: str) -> Refusal:
    """A well-formed path to something that is not there."""
    return Refusal(404, "NOT_FOUND", message)


JSON = "application/json; charset=utf-8"

HTML = "text/html; charset=utf-8"


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer like OVHcloud's; the common headers are added as it is written.

    Attributes:
        pieces: instead of `body`, one after the other as they come.
        length: of all pieces, in bytes; None sends them chunked.
        before: bytes to send ahead of the answer, such as an interim one.
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
    """An answer that is sent as it stands: these bytes, no header added.

    Attributes:
        is_last: the client cannot tell where the answer ends but by the end of the connection.
    """

    raw: bytes
    is_last: bool


def json_response(value: object, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A 200 with the value as JSON, in UTF-8 as OVHcloud writes it."""
    return Response(
        body=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        headers=tuple(headers),
    )


def error_response(refused: Refusal, shape: str) -> Response:
    """An error in one of OVHcloud's shapes: `old` or `new`."""
    return Response(refused.status, refused.body(shape))


def html_response(body: str, status: int = 200) -> Response:
    """A page."""
    return Response(status=status, body=body.encode(), content_type=HTML)


def common_headers(now: float) -> Headers:
    """What every answer carries."""
    return (
        ("Server", "OVH"),
        ("Date", formatdate(now, usegmt=True)),
        ("X-Ovh-Queryid", f"EU.ext-3.{uuid.uuid4().hex[:8]}.sandbox.{uuid.uuid4()}"),
        ("Access-Control-Allow-Origin", "*"),
    )
