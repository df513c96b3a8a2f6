"""YAML text to plain nodes, or what is wrong with it.

Built from the parser's events, not from its nodes: only events distinguish explicit tags from
implied ones, and an alias costs nothing until its expansion has been counted.
Problems never quote the text, because any part of it may be a secret.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final

import yaml

from ovh_proxy.config.nodes import Entries, Items, Node, Path, Scalar, dotted
from ovh_proxy.core.errors import Problem

# A store with two thousand profiles has fewer; a "billion laughs" has 10^9.
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 32
# The loader of libyaml is ten times faster, but missing if PyYAML was built without it.
LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML 1.2.2 section 5.1 excludes, and the byte order mark; the parsers' own message echoes the
# character. The excluded characters, because the complement takes ten times as long to compile.
_NOT_PRINTABLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)


def parse_yaml(text: str, source: str, loader: Any = LOADER) -> tuple[Node | None, list[Problem]]:
    """The document of a text, None if unreadable or empty, and the problems of its YAML."""
    control = _NOT_PRINTABLE.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        return None, [Problem(source, line, "", "control character; remove it")]
    reader = _Reader(yaml.parse(text, Loader=loader), source)
    try:
        return reader.document(), reader.problems
    except _Stop:
        return None, reader.problems
    except yaml.MarkedYAMLError as failure:
        line = failure.problem_mark.line + 1 if failure.problem_mark else 0
        # PyYAML's own parser quotes characters and tag handles of the text.
        what = re.sub(r"(['\"]).*\1", "something", failure.problem or "it ends too early")
        message = f"invalid YAML: {what}; check the quotes, colons, brackets and indentation"
        return None, [*reader.problems, Problem(source, line, "", message)]


class _Stop(Exception):
    """Reading cannot continue; the reason has been reported."""


class _Reader:
    """Builds nodes from events; its recursion is bounded by MAX_DEPTH."""

    def __init__(self, events: Iterator[Any], source: str) -> None:
        self._events = events
        self._source = source
        self._anchors: dict[str, Node | None] = {}
        self.problems: list[Problem] = []

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, ())
            elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise self._stop(event, (), "second document; keep one, without ---")
        return root

    def _report(self, event: Any, path: Path, message: str) -> None:
        line = event.start_mark.line + 1
        self.problems.append(Problem(self._source, line, dotted(path), message))

    def _stop(self, event: Any, path: Path, message: str) -> _Stop:
        self._report(event, path, message)
        return _Stop()

    def _node(self, event: Any, path: Path) -> Node:
        if len(path) > MAX_DEPTH:
            raise self._stop(event, path, f"nested more than {MAX_DEPTH} levels deep; flatten it")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event, path)
        if event.tag is not None:
            self._report(
                event, path, "YAML tags are not supported; put text that starts with ! in quotes"
            )
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._value(event, path)
        if node.size > MAX_NODES:
            raise self._stop(
                event,
                path,
                f"more than {MAX_NODES} values after alias expansion; use fewer aliases",
            )
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, event: Any, path: Path) -> Node:
        node = self._anchors.get(event.anchor)
        if node is not None:
            return node
        if event.anchor in self._anchors:
            raise self._stop(event, path, "alias inside its own anchor; remove it")
        raise self._stop(
            event, path, "alias without an anchor; put text that starts with * in quotes"
        )

    def _value(self, event: Any, path: Path) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, line, plain=not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            items = tuple(self._items(path))
            return Items(items, line, 1 + sum(item.size for item in items))
        entries, lines = self._entries(path)
        size = 1 + sum(node.size for node in entries.values())
        return Entries(entries, lines, line, size)

    def _until(self, end: type) -> Iterator[Any]:
        return takewhile(lambda event: not isinstance(event, end), self._events)

    def _items(self, path: Path) -> Iterator[Node]:
        for index, event in enumerate(self._until(yaml.SequenceEndEvent)):
            yield self._node(event, (*path, index))

    def _entries(self, path: Path) -> tuple[dict[str, Node], dict[str, int]]:
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, path)
            value = self._node(next(self._events), path if key is None else (*path, key))
            if key in lines:
                message = f"duplicate key, first on line {lines[key]}; remove one"
                self._report(event, (*path, key), message)
            elif key is not None:
                entries[key], lines[key] = value, event.start_mark.line + 1
        return entries, lines

    def _key(self, event: Any, path: Path) -> str | None:
        node = self._node(event, path)
        if not isinstance(node, Scalar):
            self._report(event, path, "a key must be text, not a list or mapping")
            return None
        if node.plain and node.text == "<<":
            self._report(event, path, "merge keys (<<) are not supported; write the keys out")
            return None
        return node.text
