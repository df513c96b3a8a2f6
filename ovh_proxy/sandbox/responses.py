"""What goes back: a status, headers, and a body whole or in pieces."""

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from ovh_proxy.sandbox.refusals import Refusal

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
