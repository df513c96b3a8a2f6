"""The request target as the client wrote it, and its percent-escapes decoded."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from ovh_proxy.core.errors import BadTarget

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """An origin-form target that has one reading.

    Attributes:
        path: as written, percent-escapes and all; starts with `/`.
        query: from `?` on, as written; empty without one. A bare `?` is kept.
    """

    path: str
    query: str = field(repr=False)

    def __str__(self) -> str:
        return self.path + self.query


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
    _refuse_two_readings(decode_path(path))
    return Target(path, mark + query)


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


def _refuse_two_readings(decoded: str) -> None:
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

    Raises:
        ValueError: escapes nested 16 deep or more, which no honest client writes.
    """
    raw = path.encode("latin-1")
    for _ in range(16):
        if b"%" not in raw:
            break
        decoded = unquote_to_bytes(raw)
        if decoded == raw:
            break
        raw = decoded
    else:
        raise ValueError("its percent-escapes are nested too deep")
    return raw.decode("latin-1")
