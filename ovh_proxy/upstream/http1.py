"""HTTP/1.1 as a client speaks it: requests to bytes, bytes to responses. No I/O."""

import re

import httptools

from ovh_proxy.ovhcloud.messages import ResponseHead, UpstreamRequest

# Facts about an answer that make its connection unfit for another request are collected in
# `is_reusable`; anything doubtful throws the connection away, so that one client's left-overs can
# never become another's answer.

MAX_HEAD_BYTES = 131_072
MAX_HEADERS = 256
MAX_INTERIM = 16
_CONTROLS = bytes(byte for byte in (*range(0x20), 0x7F) if byte != 0x09)
_KEPT = re.compile(rb"timeout=(\d{1,6})", re.IGNORECASE)
_FRAMING = frozenset({b"transfer-encoding", b"content-length"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class MalformedResponse(Exception):
    """What came is no HTTP answer to the request; the text is ours, without any of its bytes."""


def encode_request_head(outgoing: UpstreamRequest, authority: str, target: str) -> bytes:
    """The request line and the headers, with Host first and the body's length last.

    Args:
        target: path and query, byte for byte as signed; a bare `?` included.
    """
    start = f"{outgoing.method} {target} HTTP/1.1\r\nHost: {authority}".encode("ascii")
    lines = [start, *map(b": ".join, outgoing.headers)]
    body = outgoing.body
    # RFC 9110 section 8.6: a length where the method anticipates a body, none elsewhere.
    if body.is_declared or outgoing.method in _METHODS_WITH_BODY:
        lines.append(b"Content-Length: %d" % body.size)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class ResponseParser:
    """Reads the answer to one request; then, told to begin again, that to the next.

    Attributes:
        head: None until it is whole.
        pieces: of the body, as they came; whoever takes them clears the list.
        is_complete: the answer is whole.
        has_begun: a byte of an answer has come, be it an interim one.
    """

    __slots__ = (
        "_head_bytes",
        "_headers",
        "_interim",
        "_is_excess",
        "_is_head_request",
        "_is_until_close",
        "_parser",
        "_reason",
        "has_begun",
        "head",
        "is_complete",
        "pieces",
    )

    def __init__(self, method: str) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin(method)

    def begin(self, method: str) -> None:
        """Reads from now on the answer to another request; the last one `is_reusable`."""
        self._is_head_request = method == "HEAD"
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._head_bytes = 0
        self._interim = 0
        self._is_excess = False
        self._is_until_close = False
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.is_complete = False
        self.has_begun = False

    @property
    def can_begin_again(self) -> bool:
        """Whether the parser of one that `is_reusable` is where another answer begins.

        Behind HEAD it awaits a body.
        """
        return not self._is_head_request

    def feed(self, received: memoryview) -> None:
        """Takes the next bytes of the connection.

        Raises:
            MalformedResponse: they are no answer.
        """
        self.has_begun = True
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            # A parser that stops behind a whole answer has met bytes that nobody asked for.
            self._is_excess = True
            if not self.is_complete:
                cause = failure.__context__
                if isinstance(cause, MalformedResponse):
                    raise cause from None
                raise MalformedResponse("OVHcloud's answer is not HTTP") from failure
        # Head, trailers, what frames the chunks: whatever the parser takes in and gives no piece.
        self._head_bytes = 0 if self.pieces else self._head_bytes + len(received)
        if self._head_bytes > MAX_HEAD_BYTES and not self.is_complete:
            raise MalformedResponse("the head of OVHcloud's answer does not end")

    def end(self) -> None:
        """The connection has ended: right for an answer without a length, wrong for any other.

        Raises:
            MalformedResponse: the answer is not whole.
        """
        if self.is_complete:
            return
        if self.head is None:
            raise MalformedResponse("OVHcloud closed the connection without an answer")
        if not self._is_until_close:
            raise MalformedResponse("OVHcloud's answer was cut short")
        self.is_complete = True

    @property
    def is_reusable(self) -> bool:
        """Whether the connection is fit for another request."""
        return self.is_complete and not self._is_excess and not self._is_until_close

    @property
    def kept_s(self) -> float | None:
        """How long the server says that it keeps the connection, in seconds; None if it does not.

        Source: RFC 2068 section 19.7.1.1, `Keep-Alive: timeout=5, max=100`.
        """
        stated = None if self.head is None else self.head.header(b"keep-alive")
        if stated is None:
            return None
        match = _KEPT.search(stated)
        return None if match is None else float(match[1])

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self._is_excess = True
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves the white space behind a value; it is no part of it (RFC 9110 section 5.5).
        stripped = value.rstrip(b" \t")
        if b"\t" in value[len(stripped) :] and name.lower() in _FRAMING:
            # llhttp reads `chunked` with a tab behind it as another coding.
            raise MalformedResponse("OVHcloud's answer has white space that frames it in two ways")
        self._headers.append((name, stripped))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        self._count_headers()
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise MalformedResponse("OVHcloud's answer is not HTTP/1.1")
        if status == 101 or status < 100:
            raise MalformedResponse("OVHcloud's answer has a status that nobody asked for")
        if status < 200:
            self._count_interim()
            return
        # RFC 9112 section 4: a reason phrase has no control characters but the tab.
        reason = self._reason.translate(None, _CONTROLS)
        self.head = head = ResponseHead(status, reason, tuple(self._headers))
        if not self._is_kept_behind(head, version) or b"close" in head.connection:
            self._is_excess = True
        if self._is_head_request:
            # RFC 9112 section 6.3: no body, whatever the headers promise. The parser does not
            # know that; a new one reads the next answer.
            self.is_complete = True

    def on_body(self, piece: bytes) -> None:
        if not self.is_complete:
            self.pieces.append(piece)
        else:
            self._is_excess = True

    def on_message_complete(self) -> None:
        if self.head is not None:
            self._count_headers()  # the trailers among them
            self.is_complete = True

    def _count_headers(self) -> None:
        # Not at each one, of which `feed` bounds the bytes: it would cost more than the rest of it.
        if len(self._headers) > MAX_HEADERS:
            raise MalformedResponse("OVHcloud's answer has too many headers")

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise MalformedResponse("OVHcloud sends interim answers without end")

    def _is_kept_behind(self, head: ResponseHead, version: str) -> bool:
        coding = head.header(b"transfer-encoding")
        if coding is None:
            has_body = not self._is_head_request and head.status not in (204, 304)
            self._is_until_close = has_body and b"content-length" not in head.keys
        elif coding.lower() != b"chunked":
            raise MalformedResponse("OVHcloud's answer has a transfer coding that nobody asked for")
        elif version != "1.1" or self._is_head_request:
            # Chunks of HTTP/1.0 are a faulty framing (RFC 9112 section 6.1). Behind a HEAD's answer
            # the parser, which knows of no HEAD, would swallow an empty body without a word.
            return False
        return bool(self._parser.should_keep_alive())
