"""Flags that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

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
