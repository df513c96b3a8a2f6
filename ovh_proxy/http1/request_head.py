"""The head of a request as bytes, checked before any parser; what it asks of a proxy."""

import re
from dataclasses import dataclass

from ovh_proxy.core.errors import BadRequest, BadTarget, HeadersTooLarge, MethodRefused
from ovh_proxy.core.settings import Limits
from ovh_proxy.ovhcloud.messages import Headers

# Possessive quantifiers: these never backtrack, however long the head.
_METHOD = rb"[A-Z][A-Z0-9_-]{0,31}+"
REQUEST_LINE = re.compile(rb"(" + _METHOD + rb") ([!-~\x80-\xff]++) HTTP/1\.([01])\r\n")
# RFC 9112 section 5, without obs-fold; a field value is visible text, spaces and obs-text.
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)*+\r\n")
_START = re.compile(_METHOD + rb"(?: [!-~\x80-\xff]*+(?: (?:H(?:T(?:T(?:P(?:/.*+)?)?)?)?)?)?)?")
_REFUSED_METHODS = frozenset({b"CONNECT", b"TRACE"})
# The last chunk and the trailer after it, at the end of a body that the parser accepted.
_TRAILER = re.compile(rb"(?:^|\n)0+[\t ]*(?:;[^\r\n]*)?\r\n((?:[^\r\n;:]+:[^\r\n]*\r\n)*)\r\n\Z")
# RFC 9110 section 6.5.1: no fields for framing, routing or authentication in a trailer.
_NOT_IN_TRAILER = re.compile(
    rb"(?:^|\n)(?:host|content-length|transfer-encoding|trailer|connection|te|expect|upgrade"
    rb"|authorization|cookie|origin|x-ovh-[^:]*):",
    re.IGNORECASE,
)

MAX_TRAILER_BYTES = 4096


def check_head(head: bytes, limits: Limits, *, is_to_proxy: bool = False) -> None:
    """Checks a whole head, from the request line to the empty line.

    Args:
        is_to_proxy: allows CONNECT and absolute form, whose targets the caller checks.

    Raises:
        BadRequest, BadTarget, HeadersTooLarge, MethodRefused: it is ambiguous or too large. The
            texts are fixed: malformed input is not repeated.
    """
    if len(head) > limits.header_bytes:
        raise _too_large(limits)
    line = REQUEST_LINE.match(head)
    if line is None:
        raise _bad_line(head)
    if line.end(2) - line.start(2) > limits.line_bytes:
        raise _too_long(limits)
    if not is_to_proxy:
        if line[1] in _REFUSED_METHODS:
            raise MethodRefused(f"{line[1].decode('ascii')} is not forwarded")
        _check_form(line[2])
    if _FIELDS.fullmatch(head, line.end()) is None:
        raise BadRequest("a header line is malformed")
    if head.count(b"\r\n") - 2 > limits.headers:
        raise HeadersTooLarge(f"there are more than {limits.headers} headers (limits.headers)")


def check_start(start: bytes, limits: Limits) -> None:
    """Checks the beginning of a head that is not complete yet.

    Raises:
        BadRequest, HeadersTooLarge: it cannot become a valid head.
    """
    end = start.find(b"\n")
    if len(start) > limits.header_bytes:
        raise _too_large(limits)
    if end < 0 and len(start) > limits.line_bytes + 64:  # 64: a method and a version
        raise _too_long(limits)
    if (_START.fullmatch(start) if end < 0 else REQUEST_LINE.match(start)) is None:
        raise _bad_line(start)


def check_framing(version_minor: int, coding: str | None, length: str | None) -> None:
    """Checks that the end of a body is unambiguous.

    Args:
        coding: the Transfer-Encoding field; length: the Content-Length field.

    Raises:
        BadRequest: servers could disagree about its end (RFC 9112 section 6.3).
    """
    if coding is not None:
        if coding.lower() != "chunked":
            raise BadRequest("unknown Transfer-Encoding; use chunked")
        if length is not None:
            raise BadRequest("use Content-Length or Transfer-Encoding, not both")
        if version_minor == 0:
            raise BadRequest("HTTP/1.0 does not support Transfer-Encoding; use HTTP/1.1")
    elif length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
        raise BadRequest("the Content-Length is not a number")


def check_trailer(end_of_body: bytes) -> None:
    """Checks the trailer of a chunked body, which is then dropped.

    Args:
        end_of_body: its last MAX_TRAILER_BYTES, or all of it.

    Raises:
        BadRequest: it contains a field that another server might act upon.
    """
    trailer = _TRAILER.search(end_of_body)
    if trailer is None or _NOT_IN_TRAILER.search(trailer[1]):
        raise BadRequest(
            f"the trailer of the body is longer than {MAX_TRAILER_BYTES} bytes, or contains fields "
            "that belong in the head"
        )


def _check_form(target: bytes) -> None:
    if not target.isascii():
        raise BadTarget("the target has raw non-ASCII bytes; percent-encode them (é is %C3%A9)")
    if not target.startswith(b"/"):
        raise BadTarget("the target is not a path; use /me, not https://… or *")


def _bad_line(head: bytes) -> BadRequest:
    if head.startswith(b"\x16\x03"):
        return BadRequest("this listener expects plain HTTP, but the client started TLS; use http")
    return BadRequest("the request line is not METHOD /target HTTP/1.1")


def _too_large(limits: Limits) -> HeadersTooLarge:
    return HeadersTooLarge(
        f"the head is larger than {limits.header_bytes} bytes (limits.header_bytes)"
    )


def _too_long(limits: Limits) -> HeadersTooLarge:
    return HeadersTooLarge(
        f"the target is longer than {limits.line_bytes} bytes (limits.line_bytes)"
    )


@dataclass(frozen=True, slots=True)
class ProxyHead:
    """A checked head in a form that only proxies accept.

    Attributes:
        target: in authority form for CONNECT, else in absolute form.
        fields: the header lines, including the empty one.
    """

    method: bytes
    target: bytes
    is_http_1_0: bool
    fields: bytes

    @property
    def headers(self) -> Headers:
        """The header lines as names and values, as a parser splits them."""
        lines = self.fields.removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.partition(b":") for line in lines if line)
        return tuple((name, value.strip(b" \t")) for name, _, value in pairs)

    def with_target(self, target: bytes) -> bytes:
        """Returns the whole head with another target."""
        version = b"HTTP/1.0" if self.is_http_1_0 else b"HTTP/1.1"
        return b"%b %b %b\r\n%b" % (self.method, target, version, self.fields)


def proxy_head(head: bytes, limits: Limits) -> ProxyHead | None:
    """Returns a head that only proxies accept; None for any other head.

    Raises:
        BadRequest, HeadersTooLarge: it is ambiguous or too large.
    """
    line = REQUEST_LINE.match(head)
    if line is None or line[1] == b"TRACE" or line[2].startswith((b"/", b"*")):
        return None
    if not line[2].isascii():
        return None
    check_head(head, limits, is_to_proxy=True)
    return ProxyHead(line[1], line[2], line[3] == b"0", head[line.end() :])
