"""A strict parser for the responses that a client received, the last of which may be truncated."""

import re
from dataclasses import dataclass

_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t -~\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
_NEXT = b"HTTP/1.1 "


@dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Attributes:
        fields: by lower-case name, with the last value of each name.
        is_whole: whether it is complete according to its framing.
    """

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    is_whole: bool

    @property
    def code(self) -> str | None:
        """The value of `X-Ovh-Proxy-Error`."""
        value = self.fields.get(b"x-ovh-proxy-error")
        return None if value is None else value.decode()


def parse_responses(
    text: bytes, *, was_reset: bool, may_be_bodiless: bool = False
) -> list[Response]:
    """All final responses of a connection. Only the last may be truncated.

    Args:
        was_reset: whether the connection ended with a reset.
        may_be_bodiless: whether some may answer HEAD, so that a Content-Length has no body.

    Raises:
        ValueError: a server must not send this.
    """
    found: list[Response] = []
    while text:
        match = _HEAD.match(text)
        if match is None:
            if was_reset and _is_beginning(text):
                break
            raise ValueError(f"invalid response head: {text[:80]!r}")
        response, text = _one(match, text[match.end() :], was_reset, may_be_bodiless)
        if response.status >= 200:
            found.append(response)
        if not response.is_whole and text:
            raise ValueError(f"bytes after an incomplete response: {text[:80]!r}")
    return found


def _is_beginning(text: bytes) -> bool:
    return b"\r\n\r\n" not in text and (text.startswith(_NEXT) or _NEXT.startswith(text))


def _one(
    match: re.Match[bytes], rest: bytes, was_reset: bool, may_be_bodiless: bool
) -> tuple[Response, bytes]:
    """The first response, and the remaining bytes."""
    status, lines = int(match[1]), match[2].split(b"\r\n")[:-1]
    pairs = [(name.lower(), value.strip()) for name, _, value in (x.partition(b":") for x in lines)]
    fields = dict(pairs)
    for name in (b"content-length", b"transfer-encoding"):
        if sum(key == name for key, _ in pairs) > 1:
            raise ValueError(f"duplicate {name.decode()}")
    if b"content-length" in fields and b"transfer-encoding" in fields:
        raise ValueError("both Content-Length and Transfer-Encoding")
    is_next = rest.startswith(_NEXT) or not rest
    if status < 200 or status in (204, 304) or (may_be_bodiless and is_next):
        return Response(status, fields, b"", is_whole=True), rest
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        return Response(status, fields, rest[:size], len(rest) >= size), rest[size:]
    if b"transfer-encoding" in fields:
        body, is_whole, after = _chunks(rest)
        return Response(status, fields, body, is_whole), after
    return Response(status, fields, rest, not was_reset), b""


def _chunks(text: bytes) -> tuple[bytes, bool, bytes]:
    """The body, whether it is complete, and the remaining bytes."""
    body = b""
    while (match := _CHUNK.match(text)) is not None:
        size, text = int(match[1], 16), text[match.end() :]
        if not size:
            return body, text.startswith(b"\r\n"), text[2:]
        body += text[:size]
        if len(text) < size + 2:
            return body, False, b""
        if text[size : size + 2] != b"\r\n":
            raise ValueError("a chunk does not end at its size")
        text = text[size + 2 :]
    if text and not re.fullmatch(rb"[0-9a-f]*\r?", text):
        raise ValueError(f"invalid chunk size: {text[:80]!r}")
    return body, False, b""
