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
"""RFC 9110 section 9.2.1: asking twice does no harm. TRACE never crosses."""

_PIECE = 65_536
_START = 64
_ANY_ZLIB = 47  # gzip or zlib, whichever its header says


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, whole: the signature covers it, and a retry sends it again.

    Attributes:
        chunks: as they came in, unjoined; empty when the body lies in `spool`.
        size: bytes in all.
        spool: an unlinked private file that holds the body, or None.
        is_declared: whether the client framed a body, be it an empty one.
    """

    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    size: int = 0
    spool: BinaryIO | None = None
    is_declared: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order, from the start, each time it is called."""
        if self.spool is None:
            yield from self.chunks
            return
        self.spool.seek(0)
        while piece := self.spool.read(_PIECE):
            yield piece

    def start(self) -> bytes:
        """Its first bytes: enough to tell what it is, nothing without a body."""
        start = b""
        for piece in self.pieces():
            start += piece[: _START - len(start)]
            if len(start) == _START:
                break
        return start

    def close(self) -> None:
        """Gives the spool file's space back."""
        if self.spool is not None:
            self.spool.close()


NO_BODY = Body()


# These two are changed by nobody, and not frozen: that would make each take three times as long to
# make, and every call makes three.
@dataclass(slots=True)
class UpstreamRequest:
    """One request to OVHcloud: what is signed is what is sent.

    Attributes:
        url: absolute, byte for byte as it goes out.
        headers: end-to-end headers in order and spelling; Host and lengths are the wire's to add.
        signed_text: the hash that has seen method, URL and body; None where nothing is signed.
    """

    method: str
    url: str = field(repr=False)  # its query, and the proof in the headers, are not to be shown
    headers: Headers = field(default=(), repr=False)
    body: Body = NO_BODY
    signed_text: SignedText | None = None

    def with_headers(self, headers: Headers) -> "UpstreamRequest":
        """The same request with further headers at its end."""
        # Not dataclasses.replace, which takes three times as long, for each attempt.
        return UpstreamRequest(
            self.method, self.url, self.headers + headers, self.body, self.signed_text
        )

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE_METHODS


@dataclass(slots=True)
class ResponseHead:
    """Status and headers of an answer, as OVHcloud wrote them.

    Attributes:
        headers: in order and spelling, hop-by-hop ones included.
        keys: their names in lower case, in order.
        connection: all values of Connection, in lower case and with a comma between; empty without.
    """

    status: int
    reason: bytes
    headers: Headers = field(repr=False)
    keys: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    connection: bytes = field(init=False, repr=False, compare=False)
    _places: Mapping[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.keys, self._places, connections = _shape(next(zip(*self.headers, strict=True), ()))
        if len(connections) == 1:
            self.connection = self.headers[connections[0]][1].lower()
        else:
            self.connection = b",".join([self.headers[i][1] for i in connections]).lower()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; the name in lower case."""
        place = self._places.get(name)
        return None if place is None else self.headers[place][1]


@lru_cache(maxsize=64)  # answers of a kind name the same headers, spelled the same
def _shape(
    names: tuple[bytes, ...],
) -> tuple[tuple[bytes, ...], Mapping[bytes, int], tuple[int, ...]]:
    """The names in lower case, where each of them stands first, and where Connection does."""
    keys = tuple([name.lower() for name in names])
    connections = tuple([place for place, key in enumerate(keys) if key == b"connection"])
    return keys, {key: keys.index(key) for key in keys}, connections


def json_body(value: object) -> Body:
    """A body as the SDKs write it, with no spaces."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return Body((text,), len(text), is_declared=True)


def plain(body: bytes, coding: bytes | None, limit: int) -> bytes:
    """The first `limit` bytes of a body, without its content coding where we know that coding."""
    if coding is None or coding.lower() not in (b"gzip", b"x-gzip", b"deflate"):
        return body[:limit]
    try:
        return zlib.decompressobj(_ANY_ZLIB).decompress(body, limit)
    except zlib.error:
        return b""


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """The `errorCode` and the `message` of an error's body, in any of OVHcloud's shapes.

    Source: OVHcloud answers `errorCode/httpCode/message` or `class/message/details`; load
    balancers answer HTML, and a body may be no UTF-8 at all.
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
