"""A file's values with their lines, and the cursor that reads one and notes its problems."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeVar

from ovh_proxy.config.secret_references import Reference, Unresolved
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.redaction import shown, unknown
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Listener

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, its text as written; a `plain` one has no quotes."""

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
_SHOWN_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")


def dotted(path: Path) -> str:
    """Returns a path as problems show it: `profiles.prod.consumer_key`, `listen[1].mode`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _SHOWN_KEY.fullmatch(step) else "?")
    return text


T = TypeVar("T")
# YAML 1.1's nulls and booleans: text fields want them in quotes.
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

BOOLEANS = {
    word: meaning
    for meaning, words in ((True, "true yes on"), (False, "false no off"))
    for base in words.split()
    for word in (base, base.capitalize(), base.upper())
}


def wrong_type(expected: str, node: Node, remedy: str = "") -> str:
    """Returns the message for a value of another type than expected."""
    if not isinstance(node, Scalar):
        got = "a list" if isinstance(node, Items) else "a mapping"
    elif not node.plain:
        got = f"the text {shown(node.text)}"
    else:
        got = "nothing" if node.text in NULLS else shown(node.text)
    return f"expected {expected}, got {got}" + (f"; {remedy}" if remedy else "")


def out_of_range(value: str, bounds: str) -> str:
    """Returns the message for a number beyond its bounds."""
    return f"{value} is out of range; use {bounds}"


def invalid(kind: str, value: str, remedy: str) -> str:
    """Returns the message for a malformed value."""
    return f"invalid {kind} {shown(value)}; {remedy}"


def missing(reason: str) -> str:
    """Returns the message for a key that has to be there."""
    return f"missing key; {reason.removesuffix('.')}"


class Invalid(Exception):
    """A value that cannot be used; the reason has been reported as a problem."""


@dataclass(slots=True)
class ParseContext:
    """One pass over one file: what values are checked against, and what the pass finds.

    A first pass finds the references; a second, with their secrets, gives the values.

    Attributes:
        directory: base of relative file names.
        secrets: of the references, by path.
        profiles: existing profiles; None when the store could not be read.
        clients: existing clients.
        refuses_open: whether a listener that other machines can reach is rejected.
        is_versioned: whether paths in access rules have no `/1.0` in front.
        listen: the listeners given by flags, which replace those of the file.
        state_directory: where files that the proxy makes are stored.
    """

    source: str
    directory: FilePath = FilePath()
    secrets: Mapping[Path, Secret | Unresolved] = field(default_factory=dict)
    profiles: frozenset[str] | None = None
    clients: frozenset[str] = frozenset()
    refuses_open: bool = True
    is_versioned: bool = False
    listen: tuple[Listener, ...] = ()
    state_directory: FilePath = FilePath()
    problems: list[Problem] = field(default_factory=list)
    references: dict[Path, Reference] = field(default_factory=dict)

    def secret(self, path: Path, reference: Reference) -> Secret | Unresolved:
        """Records a reference, and returns its secret or, in the first pass, a placeholder."""
        self.references[path] = reference
        # A different one for each path, because two clients with one token are a problem.
        return self.secrets.get(path) or Secret(f"unresolved:{dotted(path)}")


@dataclass(frozen=True, slots=True)
class NodeCursor:
    """A value, its path, and the pass that reads it."""

    node: Node
    path: Path
    context: ParseContext

    def add_problem(self, message: str, line: int | None = None) -> Invalid:
        """Reports a problem; returns the exception to raise if the value cannot be used."""
        at = self.node.line if line is None else line
        problem = Problem(self.context.source, at, dotted(self.path), message)
        self.context.problems.append(problem)
        return Invalid()

    def attempt(self, read: Callable[["NodeCursor"], T]) -> tuple[T, ...]:
        """Returns what `read` gives, or an empty tuple if the value is invalid."""
        try:
            return (read(self),)
        except Invalid:
            return ()

    def child(self, step: str | int, node: Node) -> "NodeCursor":
        return NodeCursor(node, (*self.path, step), self.context)

    @property
    def is_null(self) -> bool:
        return isinstance(self.node, Scalar) and self.node.plain and self.node.text in NULLS

    def text(self) -> str:
        """Returns a scalar's text as written, even where YAML would see a number in it."""
        node = self.node
        if not isinstance(node, Scalar):
            raise self.add_problem(wrong_type("text", node))
        if self.is_null or not node.text:
            raise self.add_problem("empty value; set it or remove the key")
        if node.plain and node.text in BOOLEANS:
            raise self.add_problem(
                wrong_type("text", node, "YAML reads it as true or false: put it in quotes")
            )
        return node.text

    def items(self) -> tuple["NodeCursor", ...]:
        if not isinstance(self.node, Items):
            raise self.add_problem(
                wrong_type("a list", self.node, "write [a, b], or one item a line after '- '")
            )
        return tuple(self.child(index, node) for index, node in enumerate(self.node.items))

    def entries(self) -> dict[str, "NodeCursor"]:
        if not isinstance(self.node, Entries):
            raise self.add_problem(
                wrong_type("a mapping", self.node, "write indented lines of key: value")
            )
        return {key: self.child(key, node) for key, node in self.node.entries.items()}

    def report_unknown_keys(self, known: tuple[str, ...]) -> None:
        """Reports each key of this mapping that is not known."""
        for key, cursor in self.entries().items():
            if key in known:
                continue
            line = self.node.lines[key] if isinstance(self.node, Entries) else 0
            if _LIKE_A_KEY.fullmatch(key):
                cursor.add_problem(unknown("key", key, known), line)
            else:
                # Without a space after its colon a key includes its value, which may be a secret.
                message = unknown("key", key, known, is_shown=False)
                self.add_problem(f"{message}; put a space after the colon", line)


_LIKE_A_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
