"""Edits YAML text in place; comments, order and quotes stay."""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ovh_proxy.config.nodes import BOOLEANS, NULLS, Entries, Items, Node, Path, Scalar, dotted
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import CommandFailed


def differing(before: str, after: str) -> list[Path]:
    """The paths of all values that only one text has, or that differ."""
    old, new = (dict(_leaves(parse_yaml(text, "")[0], ())) for text in (before, after))
    return [path for path in {**old, **new} if old.get(path) != new.get(path)]


def _leaves(node: Node | None, path: Path) -> Iterator[tuple[Path, tuple[str, bool]]]:
    match node:
        case Scalar(text=text, plain=plain):
            yield path, (text, plain)
        case Items(items=items):
            for index, item in enumerate(items):
                yield from _leaves(item, (*path, index))
        case Entries(entries=entries):
            for key, value in entries.items():
                yield from _leaves(value, (*path, key))


# ruamel.yaml is imported where it is used: importing it takes longer than most commands.

Written = str | Mapping[str, object] | tuple[str, ...]
_GAP = r"[ ]*(?:#[^\n]*)?\n(?:[ ]*(?:#[^\n]*)?\n)*"
_MAPPING = re.compile(rf"^profiles:{_GAP}( +)\S", re.MULTILINE)
_LIST = re.compile(rf"^( *)[^\s#-][^\n]*:{_GAP}( *)- ", re.MULTILINE)
# What every YAML reader takes for text, not for a number or a date.
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 ,/._*%~-]|:(?=[/0-9]))*")


class YamlDocument:
    """A YAML text whose values can be changed.

    Attributes:
        profiles: a mapping; empty if there are none yet.
    """

    def __init__(self, text: str) -> None:
        from ruamel.yaml.comments import CommentedMap

        self._has_crlf = "\r\n" in text
        text = self._before = text.replace("\r\n", "\n")
        self._yaml = _round_trip(text)
        self._root: Any = self._yaml.load(text)
        # ruamel.yaml drops a text of nothing but comments.
        self._opening = ""
        if self._root is None:
            self._root, self._opening = CommentedMap(), text
        self.profiles: Any = self._root.get("profiles") or CommentedMap()

    def start(self, default: str) -> None:
        """Adds the two keys of a store."""
        if "default" not in self._root:
            self._root.insert(0, "default", self.written(default))
        self._root["profiles"] = self.profiles

    def written(self, value: Written, old: object = None) -> Any:
        """A value for ruamel.yaml, in the quotes of the value that it replaces."""
        from ruamel.yaml.comments import CommentedMap, CommentedSeq
        from ruamel.yaml.scalarstring import ScalarString, SingleQuotedScalarString

        if isinstance(value, str):
            if isinstance(old, ScalarString):
                return type(old)(value)
            is_text = _PLAIN.fullmatch(value) and value not in NULLS and value not in BOOLEANS
            return value if is_text else SingleQuotedScalarString(value)
        if isinstance(value, tuple):
            return CommentedSeq([self.written(item) for item in value])
        reference = CommentedMap(value)
        reference.fa.set_flow_style()
        return reference

    def mapping(self, fields: Mapping[str, Written]) -> Any:
        """A mapping with a line for each field."""
        from ruamel.yaml.comments import CommentedMap

        return CommentedMap({name: self.written(value) for name, value in fields.items()})

    def paths(self, name: str, field: str) -> tuple[Path, ...]:
        """The path of a field, and those in profiles that are aliases of this one."""
        profile = self.profiles[name]
        return tuple(("profiles", n, field) for n, p in self.profiles.items() if p is profile)

    def cut_tail(self, mapping: Any, key: str) -> str:
        """Removes and returns the comments on the lines below a value; that on its line stays."""
        holder, last, slot = _holder(mapping, key)
        tokens = holder.ca.items.get(last)
        if not tokens or tokens[slot] is None:
            return ""
        own, _, tail = tokens[slot].value.partition("\n")
        tokens[slot].value = own + "\n"
        if not own:
            tokens[slot] = None
        return str(tail)

    def add_tail(self, mapping: Any, key: str, tail: str) -> None:
        """Adds comments on the lines below a value."""
        holder, last, slot = _holder(mapping, key)
        tokens = holder.ca.items.setdefault(last, [None] * (4 if slot else 2))
        if tokens[slot] is not None:
            tokens[slot].value += tail
        elif tail:
            tokens[slot] = _comment("\n" + tail, 0)

    def add_head(self, mapping: Any, head: str) -> None:
        """Adds comments above the first key."""
        lines = [line for line in head.splitlines() if line.strip()]
        if lines:
            width = len(lines[0]) - len(lines[0].lstrip())
            mapping.ca.comment = [None, [_comment(f"{line.strip()}\n", width) for line in lines]]

    def text(self, changed: Collection[Path]) -> str:
        """The changed text.

        Raises:
            CommandFailed: values outside of these paths would change.
        """
        written = io.StringIO()
        self._yaml.dump(self._root, written)
        text = self._opening + written.getvalue()
        for path in differing(self._before, text):
            # `profiles:` with nothing below it also is a value.
            if path != ("profiles",) and not any(path[: len(p)] == p for p in changed):
                raise CommandFailed(
                    f"the change would also change {dotted(path)}; put its value in quotes, or "
                    "edit the file yourself"
                )
        return text.replace("\n", "\r\n") if self._has_crlf else text


def _round_trip(text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.resolver import VersionedResolver

    class TextResolver(VersionedResolver):
        """Reads every plain value as text, so that 0123, 1e5 and 2026-01-01 stay as written."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            return super().resolve(kind, "text" if isinstance(value, str) else value, implicit)

    yaml = YAML()
    yaml.Resolver = TextResolver
    yaml.preserve_quotes = True
    yaml.explicit_start = text.startswith("---")
    yaml.width = 1_000_000  # adds no line breaks
    step = len(match[1]) if (match := _MAPPING.search(text)) else 2
    offset = len(match[2]) - len(match[1]) if (match := _LIST.search(text)) else 2
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    return yaml


def _holder(mapping: Any, key: Any) -> tuple[Any, Any, int]:
    """The collection, key and slot where ruamel.yaml stores the comment after a value."""
    value = mapping[key]
    while hasattr(value, "fa") and not value.fa.flow_style() and len(value):
        mapping, key = value, list(value)[-1] if hasattr(value, "keys") else len(value) - 1
        value = mapping[key]
    return mapping, key, 2 if hasattr(mapping, "keys") else 0


def _comment(text: str, column: int) -> Any:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    return CommentToken(text, CommentMark(column), None)


# The fields of a profile: text, a reference, or a list of rules.
Fields = Mapping[str, Written]


def put_profile(text: str, name: str, fields: Fields) -> str:
    """The text with a profile added or replaced.

    The first profile of a store is its default.
    """
    tree = YamlDocument(text)
    if not tree.profiles:
        tree.start(name)
    tail = tree.cut_tail(tree.profiles, name) if name in tree.profiles else ""
    tree.profiles[name] = tree.mapping(fields)
    tree.add_tail(tree.profiles, name, tail)
    return tree.text((("profiles", name), ("default",)))


def put_field(text: str, name: str, field: str, value: Written, after: str) -> str:
    """The text with a field of a profile set; a new field comes after field `after`."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    if field in profile:
        profile[field] = tree.written(value, profile[field])
    else:
        tail = tree.cut_tail(profile, after)
        profile.insert(list(profile).index(after) + 1, field, tree.written(value))
        tree.add_tail(profile, field, tail)
    return tree.text(tree.paths(name, field))


def remove_field(text: str, name: str, field: str) -> str:
    """The text without a field of a profile; comments below it stay."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    before = list(profile)[: list(profile).index(field)]
    tail = tree.cut_tail(profile, field)
    paths = tree.paths(name, field)
    del profile[field]
    if before:
        tree.add_tail(profile, before[-1], tail)
    else:
        tree.add_head(profile, tail)
    return tree.text(paths)
