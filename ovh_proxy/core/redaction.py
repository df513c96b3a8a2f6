"""What of a request may be written down."""

import re
from collections.abc import Iterable

_MAX_SHOWN = 512
_MAX_QUOTED = 80
# OVHcloud's keys mix digits, lower and upper case; a value of plain words and numbers is not a key.
_NO_SECRET = re.compile(
    r"@?(?:[ ._:/*\[\]%+,-]"
    r"|(?<![A-Za-z0-9])"
    r"(?:(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,20})[0-9]{0,2}|[0-9]{1,6}[A-Za-z]{0,3})"
    r"(?![A-Za-z0-9]))*"
)
_HIDDEN = "(not shown, it may be a secret)"
NAME_HIDDEN = "(name not shown, it may be a secret)"
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def redact_target(raw: bytes) -> str:
    """A target with its query keys but no values, printable and of bounded length.

    A query item without `=` counts as a value and is dropped.
    """
    path, _, query = raw.partition(b"?")
    keys = [piece.partition(b"=")[0] for piece in query.split(b"&") if b"=" in piece]
    shown = path + (b"?" + b"&".join(keys) if keys else b"")
    return printable(shown.decode("latin-1"))


def redact_path(raw: bytes) -> str:
    """A target without query and fragment, for rejected requests."""
    return printable(raw.partition(b"?")[0].partition(b"#")[0].decode("latin-1"))


def printable(text: str, most: int = _MAX_SHOWN) -> str:
    """Text with control and non-ASCII characters escaped, cut at `most` characters."""
    shown = _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"


def quoted(value: str) -> str:
    """A value as error messages repeat it: in quotes, escaped, cut at 80 characters."""
    return f"'{printable(value, _MAX_QUOTED)}'"


def shown(value: str) -> str:
    """A value of a file in quotes, or a placeholder if it may be a secret."""
    return quoted(value) if is_plain(value) else _HIDDEN


def is_plain(value: str) -> bool:
    """Whether a value consists of plain words and numbers, and so cannot be a key."""
    return _NO_SECRET.fullmatch(value) is not None


def unknown(kind: str, value: str, known: Iterable[str], *, is_shown: bool | None = True) -> str:
    """The message for a name that does not exist, with the nearest one or all that do.

    `unknown profile 'sandbux'; did you mean 'sandbox'?`
    `unknown format 'pretty'; use text, json or auto`

    Args:
        kind: a noun whose plural ends in -s.
        is_shown: whether the value is repeated. None: only if it cannot be a secret, which somebody
            may have written in a wrong place.
    """
    import difflib

    names = list(known)
    by_lower = {name.lower(): name for name in names}
    near = "".join(by_lower[one] for one in difflib.get_close_matches(value.lower(), by_lower, 1))
    if is_shown is None:
        # A typo is about as long as the name that was meant.
        is_shown = bool((near and len(value) < len(near) + 3) or is_plain(value))
    problem = f"unknown {kind} {quoted(value) if is_shown else _HIDDEN}"
    if near:
        return f"{problem}; did you mean '{near}'?"
    return f"{problem}; " + (f"use {alternatives(names)}" if names else f"there are no {kind}s")


def alternatives(names: Iterable[str]) -> str:
    """Names to choose from, in the order given: `text, json or auto`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
