"""The request target as the client wrote it, and its percent-escapes decoded."""

import re
from dataclasses import dataclass, field

from ovh_proxy.core.errors import BadTarget

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 3986 section 2.1.
_MALFORMED_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
# `%25` before two digits is the escape of an escape's own `%`: %2541 and %252541 mean %41.
_NESTED_ESCAPE = re.compile("%(?:25)+(?=[0-9A-Fa-f]{2})")
_TOO_DEEP = re.compile("%(?:25){15}[0-9A-Fa-f]{2}")
_LOWER_ESCAPE = re.compile("%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])")
_MAX_PASSES = 16
_DIGITS = "0123456789abcdefABCDEF"
_CHARACTERS = {high + low: chr(int(high + low, 16)) for high in _DIGITS for low in _DIGITS}
_VERSION = re.compile(r"/(?:1\.0|v1|v2)(?=/|\Z)")


@dataclass(frozen=True, slots=True)
class Target:
    """An origin-form target that is not ambiguous.

    Attributes:
        path: as written, with percent-escapes; starts with `/`.
        query: from `?` on, as written, even a bare `?`; empty without a query.
        decoded: the path, decoded until nothing changes.
    """

    path: str
    query: str = field(repr=False)
    decoded: str = field(repr=False)

    def __str__(self) -> str:
        return self.path + self.query

    def decoded_end(self, end: str) -> str:
        """The decoded form of an end of the path, such as the part after a prefix."""
        start = self.path.removesuffix(end)
        if "%" in start or start == self.path:
            return decode_path(end)
        return self.decoded[len(start) :]


def parse_target(raw: bytes) -> Target:
    """Parses the target of a request line.

    Raises:
        BadTarget: the access rules and OVHcloud could read it differently.
    """
    if not raw.isascii():
        raise BadTarget("the target has raw non-ASCII bytes; percent-encode them (é is %C3%A9)")
    text = raw.decode("ascii")
    if not text.startswith("/"):
        raise BadTarget("the target is not a path; use /me, not https://… or *")
    if "#" in text:
        raise BadTarget("the target has a fragment; remove # and the text after it, or write %23")
    path, mark, query = text.partition("?")
    if "%" in path and _MALFORMED_ESCAPE.search(path):
        raise BadTarget("ambiguous path: a % that starts no escape; write %25")
    decoded = decode_path(path)
    reject_ambiguous(decoded)
    return Target(path, mark + query, decoded)


def decode_path(path: str) -> str:
    """The path with its escapes decoded until nothing changes.

    Raises:
        BadTarget: the escapes are nested too deep.
    """
    if "%" not in path:
        return path
    try:
        return decode_fully(path)
    except ValueError as failure:
        raise BadTarget(f"ambiguous path: {failure}") from None


def reject_ambiguous(decoded: str) -> None:
    """Rejects a decoded path that servers read differently.

    Raises:
        BadTarget: it has an empty or a dot segment, a backslash or a control character.
    """
    # Servers disagree on all of these, so the rules and OVHcloud could see different paths.
    if "//" in decoded:
        raise BadTarget("ambiguous path: an empty segment (//)")
    if "\\" in decoded:
        raise BadTarget("ambiguous path: a backslash")
    if _CONTROL.search(decoded):
        raise BadTarget("ambiguous path: a control character")
    # RFC 3986 section 3.3: some servers read the text after `;` in a segment as a parameter.
    if "/." in decoded and any(
        segment.partition(";")[0] in (".", "..") for segment in decoded.split("/")
    ):
        raise BadTarget("ambiguous path: a . or .. segment")


def decode_fully(path: str) -> str:
    """The path with its percent-escapes decoded until nothing changes, as Latin-1 text.

    The order does not matter, because no two escapes overlap. So nested escapes are decoded in one
    pass, and only escapes whose digits are escaped need another. Each decoded escape makes the path
    shorter, so all passes together take linear time.

    Raises:
        ValueError: escapes are nested 16 deep or more, which no honest client writes.
    """
    for _ in range(_MAX_PASSES):
        if "%" not in path:
            return path
        decoded = _decode_once(path)
        if decoded == path:
            return path
        path = decoded
    raise ValueError("percent-escapes are nested too deep")


def _decode_once(path: str) -> str:
    if "%25" in path:
        if _TOO_DEEP.search(path):
            raise ValueError("percent-escapes are nested too deep")
        path = _NESTED_ESCAPE.sub("%", path)
    start, *pieces = path.split("%")
    decoded = [start]
    for piece in pieces:
        character = _CHARACTERS.get(piece[:2])
        decoded.append(f"%{piece}" if character is None else character + piece[2:])
    return "".join(decoded)


def with_upper_escapes(path: str) -> str:
    """The path with the digits of its escapes in upper case, which means the same.

    Source: RFC 3986 section 6.2.2.1.
    """
    if not _LOWER_ESCAPE.search(path):
        return path
    start, *pieces = path.split("%")
    return "%".join([start, *map(_with_upper_digits, pieces)])


def _with_upper_digits(piece: str) -> str:
    return piece[:2].upper() + piece[2:] if piece[:2] in _CHARACTERS else piece


def version_of(path: str) -> str:
    """The API version that a path starts with, `/1.0`, `/v1` or `/v2`; else the empty string."""
    match = _VERSION.match(path)
    return match[0] if match else ""


def split_version(path: str) -> tuple[str, str]:
    """The API version that a path starts with, and the path after it, at least `/`."""
    version = version_of(path)
    return version, path.removeprefix(version) or "/"
