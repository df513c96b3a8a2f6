"""A file's values with their lines, and the cursor that reads one and notes its problems."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeVar

from ovh_proxy.config.secret_references import Reference, Unresolved
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Listener

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


T = TypeVar("T")


# YAML 1.1's nulls and truth values: text fields want them in quotes.
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

TRUTHS = {
    word: meaning
    for meaning, words in ((True, "true yes on"), (False, "false no off"))
    for base in words.split()
    for word in (base, base.capitalize(), base.upper())
}


class Invalid(Exception):
    """A value that cannot be used; why has been noted."""


@dataclass(slots=True)
class ParseContext:
    """One pass over one file: what it finds, and what its values are held against.

    A first pass finds the references; a second, with their secrets, gives the values.

    Attributes:
        directory: what relative file names are relative to.
        secrets: what the references stand for, each by its place.
        profiles: names that may be used; None when the store could not be read.
        clients: names that a listener may use.
        refuses_open: whether a listener that other machines reach is refused.
        is_versioned: whether paths of access rules have no `/1.0` before them.
        listen: the listeners that flags put in the place of the file's.
        state: the directory of what we make ourselves.
    """

    source: str
    directory: FilePath = FilePath()
    secrets: Mapping[Path, Secret | Unresolved] = field(default_factory=dict)
    profiles: frozenset[str] | None = None
    clients: frozenset[str] = frozenset()
    refuses_open: bool = True
    is_versioned: bool = False
    listen: tuple[Listener, ...] = ()
    state: FilePath = FilePath()
    problems: list[Problem] = field(default_factory=list)
    references: dict[Path, Reference] = field(default_factory=dict)

    def secret(self, path: Path, reference: Reference) -> Secret | Unresolved:
        """What a reference stands for, once that is known."""
        self.references[path] = reference
        # Another one for each place, because two clients with one token are a problem.
        return self.secrets.get(path) or Secret(f"unresolved:{dotted(path)}")


@dataclass(frozen=True, slots=True)
class NodeCursor:
    """A value, the way to it, and the reading it is part of."""

    node: Node
    path: Path
    reading: ParseContext

    def add_problem(self, message: str, line: int | None = None) -> Invalid:
        """Notes a problem here; raise what it gives where nothing can be made of the value."""
        at = self.node.line if line is None else line
        problem = Problem(self.reading.source, at, dotted(self.path), message)
        self.reading.problems.append(problem)
        return Invalid()

    def attempt(self, read: Callable[["NodeCursor"], T]) -> tuple[T, ...]:
        """What `read` makes of this value, or nothing."""
        try:
            return (read(self),)
        except Invalid:
            return ()

    def below(self, step: str | int, node: Node) -> "NodeCursor":
        return NodeCursor(node, (*self.path, step), self.reading)

    @property
    def is_null(self) -> bool:
        return isinstance(self.node, Scalar) and self.node.plain and self.node.text in NULLS

    def text(self) -> str:
        """A scalar's text as written, even where YAML would see a number in it."""
        node = self.node
        if not isinstance(node, Scalar):
            field_type = "list" if isinstance(node, Items) else "mapping"
            raise self.add_problem(f"one text is expected here, not a {field_type}")
        if self.is_null or not node.text:
            raise self.add_problem("is empty; give it a value or leave the key out")
        if node.plain and node.text in TRUTHS:
            raise self.add_problem(
                "text is expected, YAML reads true or false here; put it in quotes"
            )
        return node.text

    def items(self) -> tuple["NodeCursor", ...]:
        if not isinstance(self.node, Items):
            raise self.add_problem("a list is expected here: [ … ], or lines that begin with -")
        return tuple(self.below(index, node) for index, node in enumerate(self.node.items))

    def entries(self) -> dict[str, "NodeCursor"]:
        if not isinstance(self.node, Entries):
            raise self.add_problem("a mapping is expected here: indented lines of key: value")
        return {key: self.below(key, node) for key, node in self.node.entries.items()}

    def report_unknown(self, known: Iterable[str]) -> None:
        """Notes each key of this mapping that is none of the known ones."""
        names = tuple(known)
        for key, cursor in self.entries().items():
            if key not in names:
                line = self.node.lines[key] if isinstance(self.node, Entries) else 0
                self._report_unknown(key, cursor, names, line)

    def _report_unknown(
        self, key: str, cursor: "NodeCursor", known: tuple[str, ...], line: int
    ) -> None:
        if not _LIKE_A_KEY.fullmatch(key):
            # Without the blank after its colon a key swallows its value, which may be a secret.
            near = nearest(key, known)
            remedy = near or f"known here: {', '.join(known)}"
            self.add_problem(
                f"unknown key, not shown; {remedy}; a colon needs a blank after it", line
            )
            return
        remedy = nearest(key, known) or f"known here: {', '.join(known)}"
        cursor.add_problem(f"unknown key; {remedy}", line)


_LIKE_A_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")


def nearest(word: str, known: Iterable[str]) -> str:
    """A question for the person who mistyped a name, empty when nothing is near."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else ""


def suggestion(word: str, known: Collection[str]) -> str:
    """What could have been meant: the nearest name, and all that are known."""
    return f"{nearest(word, known)} known are {', '.join(known) or 'none'}".strip()


def one_of(word: str, known: Mapping[str, T]) -> T:
    """What a name stands for.

    Raises:
        ValueError: it is none of them; the text names them all.
    """
    if word not in known:
        raise ValueError(f"is none of the words known here; {suggestion(word, known)}")
    return known[word]
