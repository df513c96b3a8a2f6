"""YAML that a command prints for a person to paste into a file."""

import re
from collections.abc import Iterable

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
