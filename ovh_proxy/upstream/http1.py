"""HTTP/1.1 as a client speaks it: requests to bytes, bytes to responses. No I/O."""

import re

import httptools

from ovh_proxy.ovhcloud.messages import ResponseHead, UpstreamRequest

# Everything that makes a connection unfit for another request ends up in `is_reusable`. In doubt
# the connection is closed, so that no client ever gets the rest of another client's response.

MAX_HEAD_BYTES = 131_072
MAX_HEADERS = 256
MAX_INTERIM = 16
# RFC 9112 section 4: a reason phrase has no control characters except the tab.
_CONTROLS = bytes(byte for byte in (*range(0x20), 0x7F) if byte != 0x09)
_FRAMING = frozenset({b"transfer-encoding", b"content-length"})
_TIMEOUT = re.compile(rb"timeout=(\d{1,6})", re.IGNORECASE)
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class MalformedResponse(Exception):
    """The bytes are no HTTP response to the request; the message contains none of them."""


def encode_request_head(outgoing: UpstreamRequest, authority: str, target: str) -> bytes:
    """The request line and the headers: Host first, Content-Length last.

    Args:
        target: path and query, byte for byte as signed, including a bare `?`.
    """
    start = f"{outgoing.method} {target} HTTP/1.1\r\nHost: {authority}".encode("ascii")
    lines = [start, *map(b": ".join, outgoing.headers)]
    body = outgoing.body
    # RFC 9110 section 8.6: send a length only for methods that anticipate a body.
    if body.is_declared or outgoing.method in _METHODS_WITH_BODY:
        lines.append(b"Content-Length: %d" % body.size)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class ResponseParser:
    """Parses the response to one request; `begin` starts on the next.

    Attributes:
        head: None until it is complete.
        pieces: the pieces of the body so far; the caller that takes them clears the list.
        is_complete: the response is complete.
        has_begun: at least one byte of a response, possibly an interim one, has arrived.
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
        """Starts on the response to another request; the previous one must be `is_reusable`."""
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
        """Whether `begin` may be called again: after a response to HEAD, llhttp awaits a body."""
        return not self._is_head_request

    def feed(self, received: memoryview) -> None:
        """Parses the next bytes of the connection.

        Raises:
            MalformedResponse: they are no valid response.
        """
        self.has_begun = True
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            # A parser that fails after a complete response has met unsolicited bytes.
            self._is_excess = True
            if not self.is_complete:
                cause = failure.__context__
                if isinstance(cause, MalformedResponse):
                    raise cause from None
                raise MalformedResponse("OVHcloud's response is not valid HTTP") from failure
        # Counts everything that is not body: head, trailers, chunk framing.
        self._head_bytes = 0 if self.pieces else self._head_bytes + len(received)
        if self._head_bytes > MAX_HEAD_BYTES and not self.is_complete:
            raise MalformedResponse(
                f"the head of OVHcloud's response exceeds {MAX_HEAD_BYTES} bytes"
            )

    def end(self) -> None:
        """Handles EOF, which is the proper end only of a response without a length.

        Raises:
            MalformedResponse: the response is incomplete.
        """
        if self.is_complete:
            return
        if self.head is None:
            raise MalformedResponse("OVHcloud closed the connection without a response")
        if not self._is_until_close:
            raise MalformedResponse("OVHcloud closed the connection in the middle of a response")
        self.is_complete = True

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another request."""
        return self.is_complete and not self._is_excess and not self._is_until_close

    @property
    def keep_alive_s(self) -> float | None:
        """How long the server keeps an idle connection, in seconds; None if it does not say.

        Source: RFC 2068 section 19.7.1.1, `Keep-Alive: timeout=5, max=100`.
        """
        stated = None if self.head is None else self.head.header(b"keep-alive")
        if stated is None:
            return None
        match = _TIMEOUT.search(stated)
        return None if match is None else float(match[1])

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self._is_excess = True
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp keeps trailing whitespace, which is not part of the value (RFC 9110 section 5.5).
        stripped = value.rstrip(b" \t")
        if b"\t" in value[len(stripped) :] and name.lower() in _FRAMING:
            # llhttp reads `chunked` with a tab after it as another coding.
            raise MalformedResponse("OVHcloud's response has whitespace that makes it ambiguous")
        self._headers.append((name, stripped))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        self._count_headers()
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise MalformedResponse(f"OVHcloud's response is HTTP/{version}, not HTTP/1.1")
        if status == 101 or status < 100:
            raise MalformedResponse(f"OVHcloud's response has the unexpected status {status}")
        if status < 200:
            self._count_interim()
            return
        reason = self._reason.translate(None, _CONTROLS)
        self.head = head = ResponseHead(status, reason, tuple(self._headers))
        # A 408 may have been sent before the request, whose own response would follow.
        if not self._keeps_alive(head, version) or b"close" in head.connection or status == 408:
            self._is_excess = True
        if self._is_head_request:
            # RFC 9112 section 6.3: no body, whatever the headers say. llhttp does not know that,
            # so the next response gets a new parser.
            self.is_complete = True

    def on_body(self, piece: bytes) -> None:
        if not self.is_complete:
            self.pieces.append(piece)
        else:
            self._is_excess = True

    def on_message_complete(self) -> None:
        if self.head is not None:
            self._count_headers()  # trailers included
            self.is_complete = True

    def _count_headers(self) -> None:
        # Once per head, since `feed` limits the bytes; a check per header would cost more than
        # the rest of the parsing.
        if len(self._headers) > MAX_HEADERS:
            raise MalformedResponse(f"OVHcloud's response has more than {MAX_HEADERS} headers")

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise MalformedResponse(f"OVHcloud sent more than {MAX_INTERIM} interim responses")

    def _keeps_alive(self, head: ResponseHead, version: str) -> bool:
        coding = head.header(b"transfer-encoding")
        if coding is None:
            has_body = not self._is_head_request and head.status not in (204, 304)
            self._is_until_close = has_body and b"content-length" not in head.keys
        elif coding.lower() != b"chunked":
            raise MalformedResponse("OVHcloud's response has an unsupported Transfer-Encoding")
        elif version != "1.1" or self._is_head_request:
            # Chunks in HTTP/1.0 are faulty framing (RFC 9112 section 6.1). After a response to
            # HEAD, which llhttp does not recognise, it would silently consume an empty body.
            return False
        return bool(self._parser.should_keep_alive())
