"""Flags that several commands share, and durations in them."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ovh_proxy.core.redaction import quoted, unknown

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([a-z]?)")


def parse_duration(text: str) -> float:
    """Seconds from `30s`, `10m`, `2h`, `7d`; a number without a unit is seconds.

    Raises:
        ValueError: the text repeats the value and shows examples.
    """
    match = _DURATION.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise ValueError(
            f"invalid duration {quoted(text)}; use a number and a unit, such as 30s, 10m, 2h or 7d"
        )
    return float(match[1]) * _UNITS[match[2]]


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A click callback that parses a duration flag into seconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as failure:
        raise click.BadParameter(str(failure), ctx, param) from failure


def in_short(seconds: float) -> str:
    """A remaining time for a countdown: `9m 58s`, `42s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


F = TypeVar("F", bound=Callable[..., Any])


def option(name: str, text: str, command: str = "", **attributes: Any) -> Callable[[F], F]:
    """A flag with an environment variable of the same name: `--log-level`, OVH_PROXY_LOG_LEVEL.

    Args:
        command: the only command with this flag; it becomes part of the variable's name, such as
            OVH_PROXY_DEMO_LISTEN, so that OVH_PROXY_LISTEN for `run` does not affect `demo`.
    """
    words = f"ovh-proxy-{command}{name}" if command else f"ovh-proxy-{name.removeprefix('--')}"
    variable = words.replace("--", "-").replace("-", "_").upper()
    return click.option(name, help=text, envvar=variable, show_envvar=True, **attributes)


class Choice(click.Choice[str]):
    """A choice whose error message has the form of our own."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return unknown("value", str(value), self.choices)


def store_options(command: F) -> F:
    """The flags of commands that read the credential store, named as the fields of `Sources`."""
    for decorate in reversed(
        (
            # `config/sources.py` reads these two variables, so that its errors can name them.
            click.option(
                "--credentials",
                metavar="FILE",
                help="Path of the credential store.  [env var: OVH_PROXY_CREDENTIALS]",
            ),
            click.option(
                "--config",
                metavar="FILE",
                help="Path of the server settings.  [env var: OVH_PROXY_CONFIG]",
            ),
            option("--profile", "Profile to use by default.", metavar="NAME"),
            option(
                "--log-level",
                "Minimum log level.",
                type=Choice(["debug", "info", "warning", "error"]),
            ),
            option(
                "--log-format",
                "Log format; by default text on a terminal, json otherwise.",
                type=Choice(["text", "json"]),
            ),
            option(
                "--allow-loose-permissions",
                "Accept credential files that other users can read.",
                is_flag=True,
            ),
        )
    ):
        command = decorate(command)
    return command


def listen_options(command: F) -> F:
    """The flags for the proxy's addresses, for commands that serve and commands that connect."""
    for decorate in reversed(
        (
            option(
                "--listen",
                "Address to listen on: HOST:PORT, [IPv6]:PORT or unix:PATH; repeatable; port 0 "
                "means any free port.",
                multiple=True,
                metavar="ADDRESS",
            ),
            option(
                "--admin-listen",
                "Address for health, readiness and metrics, without client authentication.",
                metavar="ADDRESS",
            ),
            option(
                "--allow-open",
                "Allow listening beyond this machine without client tokens.",
                is_flag=True,
            ),
        )
    ):
        command = decorate(command)
    return command
