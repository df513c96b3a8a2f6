"""What of a request may be written down."""

import re

_MAX_SHOWN = 512
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


def printable(text: str) -> str:
    """Text that cannot break a log line or steer a terminal."""
    shown = _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "…"
