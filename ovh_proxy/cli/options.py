"""Flags that several commands share, and the settings that they lead to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ovh_proxy.store.live import Sources

F = TypeVar("F", bound=Callable[..., Any])


def option(name: str, text: str, **attributes: Any) -> Callable[[F], F]:
    """A flag with an environment variable of the same name: `--log-level`, OVH_PROXY_LOG_LEVEL."""
    variable = "OVH_PROXY_" + name.removeprefix("--").upper().replace("-", "_")
    return click.option(name, help=text, envvar=variable, show_envvar=True, **attributes)


def store_options(command: F) -> F:
    """The flags of all that serve or read the store."""
    for decorate in reversed(
        (
            # Their variables are read where the files are looked for, so that errors name them.
            click.option("--credentials", metavar="FILE", help="The credential store."),
            click.option("--config", metavar="FILE", help="The server settings."),
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
            option(
                "--allow-loose-permissions", "Read files that others may read.", is_flag=True
            ),
        )
    ):
        command = decorate(command)
    return command


def sources(**flags: Any) -> Sources:
    """Where the configuration is looked for, as flags, environment and machine say."""
    return Sources(environ=os.environ, home=Path.home(), cwd=Path.cwd(), **flags)
