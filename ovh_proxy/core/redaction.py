"""What of a request may be written down."""

import re
from collections.abc import Iterable

_MAX_SHOWN = 512
_MAX_QUOTED = 80
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def redact_target(raw: bytes) -> str:
    """A target with its query keys alone, printable and of bounded length.

    A query piece without `=` counts as a value, and is not written.
    """
    path, _, query = raw.partition(b"?")
    keys = [piece.partition(b"=")[0] for piece in query.split(b"&") if b"=" in piece]
    shown = path + (b"?" + b"&".join(keys) if keys else b"")
    return printable(shown.decode("latin-1"))


def redact_path(raw: bytes) -> str:
    """A target without anything after `?`, for one that was refused."""
    return printable(raw.partition(b"?")[0].partition(b"#")[0].decode("latin-1"))


def printable(text: str, most: int = _MAX_SHOWN) -> str:
    """Text that cannot break a log line or steer a terminal, cut at `most` characters."""
    shown = _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"


def quoted(value: str) -> str:
    """A value as error messages repeat it: in quotes, escaped, cut at 80 characters."""
    return f"'{printable(value, _MAX_QUOTED)}'"


def unknown(kind: str, value: str, known: Iterable[str]) -> str:
    """The message for a name that does not exist, with the nearest one or all that do.

    `unknown profile 'sandbux'; did you mean 'sandbox'?`
    `unknown format 'pretty'; use text, json or auto`

    Args:
        kind: a noun whose plural ends in -s.
        value: not a secret; the message repeats it.
    """
    import difflib

    names = list(known)
    if near := difflib.get_close_matches(value, names, 1):
        remedy = f"did you mean '{near[0]}'?"
    elif names:
        remedy = f"use {alternatives(names)}"
    else:
        remedy = f"there are no {kind}s"
    return f"unknown {kind} {quoted(value)}; {remedy}"


def alternatives(names: Iterable[str]) -> str:
    """Names to choose from, in the order given: `text, json or auto`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
