"""What a command prints, asks, and never prints."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import click

from ovh_proxy.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


T = TypeVar("T")


def is_asked() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def ask(text: str, default: str | None = None, hidden: bool = False) -> str:
    """One line of the person's; on standard error, so that output stays what it is."""
    given: str = click.prompt(text, default=default, hide_input=hidden, err=True)
    return given.strip()


def ask_checked(
    text: str, check: Callable[[str], T], default: str | None = None, hidden: bool = False
) -> T:
    """What a check makes of the person's line; it is asked for again until it is good."""
    while True:
        try:
            return check(ask(text, default, hidden))
        except ValueError as failure:
            click.echo(f"  {failure}", err=True)


def say(text: str = "") -> None:
    """Tells the person what goes on."""
    click.echo(text, err=True)


def confirm(text: str, yes: bool) -> bool:
    """Whether the person wants it.

    Raises:
        UsageError: nobody is there, and --yes was not given.
    """
    if yes:
        return True
    if not is_asked():
        raise UsageError("there is no terminal to ask on: give --yes")
    return click.confirm(text, err=True)


# Safe as it stands in a list; `* /me` would be an alias, and `/me:` a key.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ,/._*%~-]*")

_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def scalar(text: str) -> str:
    """Printable ASCII as YAML that is read as that text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Iterable[str], indent: str) -> list[str]:
    """A line for each, as below a key."""
    return [f"{indent}- {scalar(text)}" for text in texts]


# Stands where a secret would. Only `sign` prints a consumer key, and only made-up keys show
# anywhere else: those of the sandbox and of the demonstration.
MASK = "***"


# What could steer a terminal, turn text around, or not be written at all: controls, the marks of
# bidirectional text, and the halves by which Python stands for bytes that are no UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


_UNWRITABLE = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO") if hasattr(errno, name)
)


def safe(text: str) -> str:
    """Text in one line that only shows itself, whoever wrote it."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def complain(text: str) -> None:
    """Says on stderr what went wrong, a line for each problem."""
    for line in text.splitlines():
        click.echo(f"ovh-proxy: {safe(line)}", err=True)


def is_unwritable(failure: OSError) -> bool:
    """Whether a failure can only be that of standard output, which names no file."""
    return failure.filename is None and failure.errno in _UNWRITABLE


def write_nowhere() -> None:
    """Standard output takes no more.

    What is left of it would be written again at the end, and its failure be the exit code.
    """
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def console() -> "Console":
    """Standard output with colours on a terminal, plain and never wrapped elsewhere."""
    # Imported here: it costs more than most commands take.
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def relative_time(moment: datetime, now: datetime) -> str:
    """How far away a moment is: `in 12 days`, `3 hours ago`."""
    seconds = (moment - now).total_seconds()
    unit, length = next((u for u in _UNITS if abs(seconds) >= u[1]), ("minute", 60))
    counted = _counted(int(abs(seconds) // length), unit)
    if counted.startswith("0 "):
        counted = "less than a minute"
    return f"in {counted}" if seconds >= 0 else f"{counted} ago"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
