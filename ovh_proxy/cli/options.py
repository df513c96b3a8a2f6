"""Flags that several commands share, and durations in them."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([a-z]?)")


def parse_duration(text: str) -> float:
    """Seconds; a number without a unit is seconds already.

    Raises:
        ValueError: it is none; the text says what one looks like.
    """
    match = _DURATION.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise ValueError("is no duration; say a number and its unit, such as 30s, 10m, 2h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A flag's value in seconds, as click's callbacks give it."""
    try:
        return parse_duration(value)
    except ValueError as failure:
        raise click.BadParameter(str(failure), ctx, param) from failure


def in_short(seconds: float) -> str:
    """A time that is left, for a line that changes: `9m 58s`, `42s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


F = TypeVar("F", bound=Callable[..., Any])


def option(name: str, text: str, command: str = "", **attributes: Any) -> Callable[[F], F]:
    """A flag with an environment variable of the same name: `--log-level`, OVH_PROXY_LOG_LEVEL.

    Args:
        command: whose alone the flag is; stands in the variable, so that one set for `run` does
            not reach `demo`: OVH_PROXY_DEMO_LISTEN.
    """
    words = f"ovh-proxy-{command}{name}" if command else f"ovh-proxy-{name.removeprefix('--')}"
    variable = words.replace("--", "-").replace("-", "_").upper()
    return click.option(name, help=text, envvar=variable, show_envvar=True, **attributes)


def store_options(command: F) -> F:
    """The flags of all that serve or read the store; `Sources` takes them as they are."""
    for decorate in reversed(
        (
            # Their variables are read where the files are looked for, so that errors name them.
            click.option(
                "--credentials",
                metavar="FILE",
                help="The credential store.  [env var: OVH_PROXY_CREDENTIALS]",
            ),
            click.option(
                "--config", metavar="FILE", help="The server settings.  [env var: OVH_PROXY_CONFIG]"
            ),
            option("--profile", "Use this profile by default.", metavar="NAME"),
            option(
                "--log-level",
                "The least that is logged.",
                type=click.Choice(["debug", "info", "warning", "error"]),
            ),
            option(
                "--log-format",
                "How it is logged; text on a terminal, else json.",
                type=click.Choice(["text", "json"]),
            ),
            option("--allow-loose-permissions", "Read files that others may read.", is_flag=True),
        )
    ):
        command = decorate(command)
    return command


def listen_options(command: F) -> F:
    """Where the proxy listens: for whoever serves there, and for whoever asks there."""
    for decorate in reversed(
        (
            option(
                "--listen",
                "Where to listen: HOST:PORT, [IPv6]:PORT, unix:PATH; repeated for several; port 0 "
                "chooses.",
                multiple=True,
                metavar="ADDRESS",
            ),
            option(
                "--admin-listen",
                "Health, readiness and metrics, without the guard.",
                metavar="ADDRESS",
            ),
            option(
                "--allow-open", "Listen beyond this machine without client tokens.", is_flag=True
            ),
        )
    ):
        command = decorate(command)
    return command
