"""Variables as lines that shells and files take."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ovh_proxy.core.errors import UsageError

Told = Mapping[str, str]
Dropped = tuple[str, ...]

# What no reader of .env files takes for more than itself, with quotes or without.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,~\[\]-]*")


def _shell(told: Told, dropped: Dropped) -> str:
    return _lines(told, dropped, lambda name, text: f"export {name}={shlex.quote(text)}", "unset ")


def _fish(told: Told, dropped: Dropped) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"

    return _lines(told, dropped, line, "set -e ")


def _powershell(told: Told, dropped: Dropped) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("'", "''")
        return f"$env:{name} = '{escaped}'"

    return _lines(told, dropped, line, "Remove-Item Env:")


def _dotenv(told: Told, dropped: Dropped) -> str:
    # Readers differ in quotes: docker's takes them for a part of the value.
    for name, text in told.items():
        if not _PLAIN.fullmatch(text):
            raise UsageError(f"the value of {name} cannot stand in a .env file: {text!r}")
    return "\n".join(f"{name}={text}" for name, text in told.items())


def _json(told: Told, dropped: Dropped) -> str:
    return json.dumps({**told, **dict.fromkeys(dropped)}, indent=2)


def _lines(told: Told, dropped: Dropped, line: Callable[[str, str], str], drop: str) -> str:
    # A name that is none of a variable is left alone: a shell would run it.
    names = [name for name in dropped if name.isascii() and name.isidentifier()]
    return "\n".join([*(drop + name for name in names), *(line(*pair) for pair in told.items())])


FORMATS: Mapping[str, Callable[[Told, Dropped], str]] = MappingProxyType(
    {
        "shell": _shell,
        "fish": _fish,
        "powershell": _powershell,
        "dotenv": _dotenv,
        "json": _json,
    }
)
"""Variables with their values, and names of variables that are to go, in one text."""
