"""What a command asks the person at the terminal, and what it says where there is none."""

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from ovh_proxy.core.errors import UsageError

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
