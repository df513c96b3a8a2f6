"""A file's plain values, which remember their lines, and the way to each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, its text as written; a `plain` one has no quotes and may be more than text."""

    text: str
    line: int
    plain: bool = False
    size: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `size` counts its nodes, each alias expanded."""

    items: tuple["Node", ...]
    line: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; `lines` has the line of each key."""

    entries: Mapping[str, "Node"]
    lines: Mapping[str, int]
    line: int
    size: int = 1


Node = Scalar | Items | Entries

_SHOWN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def dotted(path: Path) -> str:
    """As problems show it: `profiles.prod.consumer_key`, `listen[1].mode`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _SHOWN.fullmatch(step) else "?")
    return text
