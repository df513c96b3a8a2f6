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
    """Whether standard input is a terminal, so that questions can be answered."""
    return sys.stdin.isatty()


def ask(text: str, default: str | None = None, hidden: bool = False) -> str:
    """The user's answer, stripped; the prompt goes to stderr to keep stdout clean."""
    answer: str = click.prompt(text, default=default, hide_input=hidden, err=True)
    return answer.strip()


def ask_checked(
    text: str, check: Callable[[str], T], default: str | None = None, hidden: bool = False
) -> T:
    """The user's answer as `check` returns it; asks again while `check` raises ValueError."""
    while True:
        try:
            return check(ask(text, default, hidden))
        except ValueError as failure:
            click.echo(f"  {failure}", err=True)


def say(text: str = "") -> None:
    """Prints a progress message to stderr."""
    click.echo(text, err=True)


def confirm(text: str, yes: bool) -> bool:
    """Whether the user agrees, by --yes or by the answer.

    Raises:
        UsageError: there is no terminal, and --yes was not given.
    """
    if yes:
        return True
    if not is_asked():
        raise UsageError("cannot ask for confirmation without a terminal; use --yes")
    return click.confirm(text, err=True)


# Safe as a plain scalar in a list; `* /me` would be an alias, and `/me:` a key.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ,/._*%~-]*")
_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def yaml_scalar(text: str) -> str:
    """Printable ASCII as a YAML scalar that parses to the same text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return "'" + text.replace("'", "''") + "'"


def yaml_list(texts: Iterable[str], indent: str) -> list[str]:
    """The lines of a YAML block sequence."""
    return [f"{indent}- {yaml_scalar(text)}" for text in texts]


# Printed in place of a secret. Only `sign` prints a consumer key; `sandbox` and `demo` print their
# made-up keys.
MASK = "***"
# Characters that could control a terminal, reorder text, or fail to encode: control characters,
# bidirectional marks, and the lone surrogates by which Python represents bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_UNWRITABLE = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO") if hasattr(errno, name)
)


def safe(text: str) -> str:
    """Untrusted text in one line, with unsafe characters escaped."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def complain(text: str) -> None:
    """Prints an error to stderr, one line for each problem."""
    for line in text.splitlines():
        click.echo(f"ovh-proxy: {safe(line)}", err=True)


def is_stdout_failure(failure: OSError) -> bool:
    """Whether a failed write was to stdout: only then does the error name no file."""
    return failure.filename is None and failure.errno in _UNWRITABLE


def discard_stdout() -> None:
    """Redirects stdout to the null device.

    Otherwise Python would flush the rest of its buffer at exit, fail again, and change the exit
    code.
    """
    with open(os.devnull, "wb") as devnull:
        os.dup2(devnull.fileno(), sys.stdout.fileno())


def console() -> "Console":
    """Standard output: in colour on a terminal, plain and never wrapped elsewhere."""
    # Imported here: importing it takes longer than most commands run.
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def relative_time(time: datetime, now: datetime) -> str:
    """A time relative to `now`: `in 12 days`, `3 hours ago`."""
    seconds = (time - now).total_seconds()
    unit, length = next((u for u in _UNITS if abs(seconds) >= u[1]), ("minute", 60))
    distance = counted(int(abs(seconds) // length), unit)
    if distance.startswith("0 "):
        distance = "less than a minute"
    return f"in {distance}" if seconds >= 0 else f"{distance} ago"


def counted(number: int, noun: str) -> str:
    """A number with its noun in singular or plural: `1 profile`, `2 profiles`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
