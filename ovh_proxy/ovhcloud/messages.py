"""A request to OVHcloud and the head of its response, as values."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from ovh_proxy.ovhcloud.signature import SignedText

Headers = tuple[tuple[bytes, bytes], ...]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 section 9.2.1: safe to repeat. TRACE is never forwarded."""

_PIECE = 65_536
_START = 64
_ANY_ZLIB = 47  # gzip or zlib, by its header


@dataclass(frozen=True, slots=True)
class Body:
    """A complete request body: the signature covers it, and a retry sends it again.

    Attributes:
        chunks: as received; empty if the body is in `spool`.
        size: total bytes.
        spool: an unlinked private file with the body, or None.
        is_declared: whether the client sent a body, even an empty one.
    """

    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    size: int = 0
    spool: BinaryIO | None = None
    is_declared: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces; each call starts at the beginning."""
        if self.spool is None:
            yield from self.chunks
            return
        self.spool.seek(0)
        while piece := self.spool.read(_PIECE):
            yield piece

    def start(self) -> bytes:
        """The first 64 bytes, to recognize the content type; empty without a body."""
        start = b""
        for piece in self.pieces():
            start += piece[: _START - len(start)]
            if len(start) == _START:
                break
        return start

    def close(self) -> None:
        """Closes the spool file, which frees its disk space."""
        if self.spool is not None:
            self.spool.close()


NO_BODY = Body()


# Nothing changes instances of these two classes. They are not frozen, because creating a frozen one
# takes three times as long, and every call creates three.
@dataclass(slots=True)
class UpstreamRequest:
    """One request to OVHcloud, sent exactly as signed.

    Attributes:
        url: absolute, byte for byte as sent.
        headers: end-to-end headers in order and spelling; the HTTP/1 encoder adds Host and lengths.
        signed_text: the hash of method, URL and body; None for unsigned requests.
    """

    method: str
    url: str = field(repr=False)  # hides the query, and the credentials in headers
    headers: Headers = field(default=(), repr=False)
    body: Body = NO_BODY
    signed_text: SignedText | None = None

    def with_headers(self, headers: Headers) -> "UpstreamRequest":
        """The same request with additional headers at the end."""
        # dataclasses.replace would take three times as long, and this runs for each attempt.
        return UpstreamRequest(
            self.method, self.url, self.headers + headers, self.body, self.signed_text
        )

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE_METHODS


@dataclass(slots=True)
class ResponseHead:
    """Status and headers of a response, as OVHcloud sent them.

    Attributes:
        headers: in order and spelling, including hop-by-hop headers.
        keys: their names in lower case, in order.
        connection: all values of Connection, in lower case, joined by commas; empty without any.
    """

    status: int
    reason: bytes
    headers: Headers = field(repr=False)
    keys: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    connection: bytes = field(init=False, repr=False, compare=False)
    _indexes: Mapping[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.keys, self._indexes, connections = _shape(next(zip(*self.headers, strict=True), ()))
        if len(connections) == 1:
            self.connection = self.headers[connections[0]][1].lower()
        else:
            self.connection = b",".join([self.headers[i][1] for i in connections]).lower()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; the name in lower case."""
        index = self._indexes.get(name)
        return None if index is None else self.headers[index][1]


@lru_cache(maxsize=64)  # responses of one kind have the same headers
def _shape(
    names: tuple[bytes, ...],
) -> tuple[tuple[bytes, ...], Mapping[bytes, int], tuple[int, ...]]:
    """The names in lower case, the first index of each, and all indexes of Connection."""
    keys = tuple([name.lower() for name in names])
    connections = tuple([index for index, key in enumerate(keys) if key == b"connection"])
    return keys, {key: keys.index(key) for key in keys}, connections


def json_body(value: object) -> Body:
    """A JSON body without spaces, as the SDKs write it."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return Body((text,), len(text), is_declared=True)


def plain(body: bytes, coding: bytes | None, limit: int) -> bytes:
    """The first `limit` bytes of a body, decompressed if the content coding is known."""
    if coding is None or coding.lower() not in (b"gzip", b"x-gzip", b"deflate"):
        return body[:limit]
    try:
        return zlib.decompressobj(_ANY_ZLIB).decompress(body, limit)
    except zlib.error:
        return b""


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """The `errorCode` and the `message` of an error body, in any of OVHcloud's formats.

    Source: OVHcloud sends `errorCode/httpCode/message` or `class/message/details`; load balancers
    send HTML, and a body may not be UTF-8.
    """
    try:
        fields = _loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(fields, dict):
        return None, None
    code, message = fields.get("errorCode"), fields.get("message")
    return code if isinstance(code, str) else None, message if isinstance(message, str) else None


def _loads(body: bytes) -> object:
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        # php-ovh issue 151: Latin-1 bytes within JSON.
        return json.loads(body.decode("utf-8", "replace"))
