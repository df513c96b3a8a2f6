"""The request target as the client wrote it, and its percent-escapes decoded."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from ovh_proxy.core.errors import BadTarget

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VERSION = re.compile(r"/(?:1\.0|v1|v2)(?=/|\Z)")


@dataclass(frozen=True, slots=True)
class Target:
    """An origin-form target that is not ambiguous.

    Attributes:
        path: as written, with percent-escapes; starts with `/`.
        query: from `?` on, as written, even a bare `?`; empty without a query.
    """

    path: str
    query: str = field(repr=False)

    def __str__(self) -> str:
        return self.path + self.query


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
    _reject_ambiguous(decode_path(path))
    return Target(path, mark + query)


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


def _reject_ambiguous(decoded: str) -> None:
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

    Raises:
        ValueError: escapes are nested 16 deep or more, which no honest client writes.
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
        raise ValueError("percent-escapes are nested too deep")
    return raw.decode("latin-1")


def version_of(path: str) -> str:
    """The API version that a path starts with, `/1.0`, `/v1` or `/v2`; else the empty string."""
    match = _VERSION.match(path)
    return match[0] if match else ""


def split_version(path: str) -> tuple[str, str]:
    """The API version that a path starts with, and the path after it, at least `/`."""
    version = version_of(path)
    return version, path.removeprefix(version) or "/"
