"""What a client got, read strictly: whole answers, or one that visibly broke off."""

import re
from dataclasses import dataclass

_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t -~\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
_NEXT = b"HTTP/1.1 "


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        fields: by name in lower case; the last of a name counts.
        is_whole: its framing says that nothing is missing.
    """

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    is_whole: bool

    @property
    def code(self) -> str | None:
        """What `X-Ovh-Proxy-Error` says."""
        value = self.fields.get(b"x-ovh-proxy-error")
        return None if value is None else value.decode()


def answers_in(text: bytes, *, was_reset: bool, may_be_bodiless: bool = False) -> list[Answer]:
    """All final answers of a connection; only the last may be cut.

    Args:
        was_reset: the connection ended by a reset, not by an end.
        may_be_bodiless: some may belong to HEAD, whose length promises a body that never comes.

    Raises:
        ValueError: that is not what a server may send.
    """
    found: list[Answer] = []
    while text:
        match = _HEAD.match(text)
        if match is None:
            if was_reset and _is_beginning(text):
                break
            raise ValueError(f"no head of an answer: {text[:80]!r}")
        answer, text = _one(match, text[match.end() :], was_reset, may_be_bodiless)
        if answer.status >= 200:
            found.append(answer)
        if not answer.is_whole and text:
            raise ValueError(f"something behind an answer that is not whole: {text[:80]!r}")
    return found


def _is_beginning(text: bytes) -> bool:
    return b"\r\n\r\n" not in text and (text.startswith(_NEXT) or _NEXT.startswith(text))


def _one(
    match: re.Match[bytes], rest: bytes, was_reset: bool, may_be_bodiless: bool
) -> tuple[Answer, bytes]:
    """An answer, and what follows it."""
    status, lines = int(match[1]), match[2].split(b"\r\n")[:-1]
    pairs = [(name.lower(), value.strip()) for name, _, value in (x.partition(b":") for x in lines)]
    fields = dict(pairs)
    for name in (b"content-length", b"transfer-encoding"):
        if sum(key == name for key, _ in pairs) > 1:
            raise ValueError(f"{name.decode()} is there twice")
    if b"content-length" in fields and b"transfer-encoding" in fields:
        raise ValueError("both lengths")
    is_next = rest.startswith(_NEXT) or not rest
    if status < 200 or status in (204, 304) or (may_be_bodiless and is_next):
        return Answer(status, fields, b"", is_whole=True), rest
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        return Answer(status, fields, rest[:size], len(rest) >= size), rest[size:]
    if b"transfer-encoding" in fields:
        body, is_whole, after = _chunks(rest)
        return Answer(status, fields, body, is_whole), after
    return Answer(status, fields, rest, not was_reset), b""


def _chunks(text: bytes) -> tuple[bytes, bool, bytes]:
    """The body, whether it is whole, and what follows."""
    body = b""
    while (match := _CHUNK.match(text)) is not None:
        size, text = int(match[1], 16), text[match.end() :]
        if not size:
            return body, text.startswith(b"\r\n"), text[2:]
        body += text[:size]
        if len(text) < size + 2:
            return body, False, b""
        if text[size : size + 2] != b"\r\n":
            raise ValueError("a chunk does not end where it says")
        text = text[size + 2 :]
    if text and not re.fullmatch(rb"[0-9a-f]*\r?", text):
        raise ValueError(f"no size of a chunk: {text[:80]!r}")
    return body, False, b""
