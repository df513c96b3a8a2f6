"""The request target as the client wrote it, and its percent-escapes decoded."""

import re
from dataclasses import dataclass, field

from ovh_proxy.core.errors import BadTarget

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 3986 section 2.1.
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
# `%25` before two digits is the escape of an escape's own `%`: %2541 and %252541 mean %41.
_NESTED = re.compile("%(?:25)+(?=[0-9A-Fa-f]{2})")
_TOO_DEEP = re.compile("%(?:25){15}[0-9A-Fa-f]{2}")
_LOWER_ESCAPE = re.compile("%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])")
_MAX_PASSES = 16
_DIGITS = "0123456789abcdefABCDEF"
_CHARACTERS = {high + low: chr(int(high + low, 16)) for high in _DIGITS for low in _DIGITS}


@dataclass(frozen=True, slots=True)
class Target:
    """An origin-form target that has one reading.

    Attributes:
        path: as written, percent-escapes and all; starts with `/`.
        query: from `?` on, as written; empty without one. A bare `?` is kept.
        decoded: the path, decoded until nothing changes.
    """

    path: str
    query: str = field(repr=False)
    decoded: str = field(repr=False)

    def __str__(self) -> str:
        return self.path + self.query

    def decoded_end(self, end: str) -> str:
        """The decoded form of an end of the path, such as what follows a prefix."""
        start = self.path.removesuffix(end)
        if "%" in start or start == self.path:
            return decode_path(end)
        return self.decoded[len(start) :]


def parse_target(raw: bytes) -> Target:
    """The target of a request line.

    Raises:
        BadTarget: it could mean one thing to the rules and another to OVHcloud.
    """
    if not raw.isascii():
        raise BadTarget("the target holds raw non-ASCII bytes: percent-encode them (é is %C3%A9)")
    text = raw.decode("ascii")
    if not text.startswith("/"):
        raise BadTarget("the target is not a path: write /me, not https://… or *")
    if "#" in text:
        raise BadTarget("the target holds a fragment: leave # and what follows out, or write %23")
    path, mark, query = text.partition("?")
    if "%" in path and _NO_ESCAPE.search(path):
        raise BadTarget("the target's path has two readings: a % that begins no escape; write %25")
    decoded = decode_path(path)
    refuse_two_readings(decoded)
    return Target(path, mark + query, decoded)


def decode_path(path: str) -> str:
    """The path with its escapes decoded until nothing changes.

    Raises:
        BadTarget: escapes within escapes without end.
    """
    if "%" not in path:
        return path
    try:
        return decode_fully(path)
    except ValueError as failure:
        raise BadTarget(f"the target's path has two readings: {failure}") from None


def refuse_two_readings(decoded: str) -> None:
    """Lets a decoded path pass that servers agree on.

    Raises:
        BadTarget: it has an empty or a dot segment, a backslash or a control character.
    """
    # Servers disagree on all of these; a rule that holds on one reading would not on the other.
    if "//" in decoded:
        raise BadTarget("the target's path has two readings: an empty segment (//)")
    if "\\" in decoded:
        raise BadTarget("the target's path has two readings: a backslash")
    if _CONTROL.search(decoded):
        raise BadTarget("the target's path has two readings: a control character")
    # RFC 3986 section 3.3: what follows `;` in a segment is a parameter to some servers.
    if "/." in decoded and any(
        segment.partition(";")[0] in (".", "..") for segment in decoded.split("/")
    ):
        raise BadTarget("the target's path has two readings: a . or .. segment")


def decode_fully(path: str) -> str:
    """A path with its percent-escapes decoded until nothing changes; bytes stand as Latin-1.

    The order of decoding does not matter, because no two escapes overlap. So escapes of escapes
    are decoded in one pass, and further passes are left for those whose digits are escaped. Each
    escape that is decoded shortens the path: all passes together take linear time.

    Raises:
        ValueError: escapes nested 16 deep or more, which no honest client writes.
    """
    for _ in range(_MAX_PASSES):
        if "%" not in path:
            return path
        decoded = _decode_once(path)
        if decoded == path:
            return path
        path = decoded
    raise ValueError("its percent-escapes are nested too deep")


def _decode_once(path: str) -> str:
    if "%25" in path:
        if _TOO_DEEP.search(path):
            raise ValueError("its percent-escapes are nested too deep")
        path = _NESTED.sub("%", path)
    start, *pieces = path.split("%")
    found = [start]
    for piece in pieces:
        character = _CHARACTERS.get(piece[:2])
        found.append(f"%{piece}" if character is None else character + piece[2:])
    return "".join(found)


def with_upper_escapes(path: str) -> str:
    """A path with the digits of its escapes in upper case, which means the same.

    Source: RFC 3986 section 6.2.2.1.
    """
    if not _LOWER_ESCAPE.search(path):
        return path
    start, *pieces = path.split("%")
    return "%".join(
        [
            start,
            *[
                piece[:2].upper() + piece[2:] if piece[:2] in _CHARACTERS else piece
                for piece in pieces
            ],
        ]
    )
