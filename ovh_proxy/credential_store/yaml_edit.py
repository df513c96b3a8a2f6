"""Edits YAML text in place; comments, order and quotes stay."""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ovh_proxy.config.nodes import NULLS, TRUTHS, Entries, Items, Node, Path, Scalar, dotted
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import CommandFailed


def differing(before: str, after: str) -> list[Path]:
    """The places of all values that are not in both, or not as the same text."""
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


# Imported where they are used: ruamel.yaml costs more than most commands take.

Written = str | Mapping[str, object] | tuple[str, ...]


_GAP = r"[ ]*(?:#[^\n]*)?\n(?:[ ]*(?:#[^\n]*)?\n)*"

_MAPPING = re.compile(rf"^profiles:{_GAP}( +)\S", re.MULTILINE)

_LIST = re.compile(rf"^( *)[^\s#-][^\n]*:{_GAP}( *)- ", re.MULTILINE)

# What no reader of YAML takes for a number, a date or anything but text.
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 ,/._*%~-]|:(?=[/0-9]))*")


class YamlDocument:
    """The values of a text, to be changed.

    Attributes:
        profiles: a mapping; empty where there are none yet.
    """

    def __init__(self, text: str) -> None:
        from ruamel.yaml.comments import CommentedMap

        self._has_crlf = "\r\n" in text
        text = self._before = text.replace("\r\n", "\n")
        self._yaml = _round_trip(text)
        self._root: Any = self._yaml.load(text)
        # Of nothing but comments ruamel.yaml makes nothing at all.
        self._opening = ""
        if self._root is None:
            self._root, self._opening = CommentedMap(), text
        self.profiles: Any = self._root.get("profiles") or CommentedMap()

    def start(self, default: str) -> None:
        """Makes the two keys that a store has."""
        if "default" not in self._root:
            self._root.insert(0, "default", self.written(default))
        self._root["profiles"] = self.profiles

    def written(self, value: Written, old: object = None) -> Any:
        """A value as ruamel.yaml writes it, in the quotes of the one whose place it takes."""
        from ruamel.yaml.comments import CommentedMap, CommentedSeq
        from ruamel.yaml.scalarstring import ScalarString, SingleQuotedScalarString

        if isinstance(value, str):
            if isinstance(old, ScalarString):
                return type(old)(value)
            is_text = _PLAIN.fullmatch(value) and value not in NULLS and value not in TRUTHS
            return value if is_text else SingleQuotedScalarString(value)
        if isinstance(value, tuple):
            return CommentedSeq([self.written(item) for item in value])
        reference = CommentedMap(value)
        reference.fa.set_flow_style()
        return reference

    def mapping(self, fields: Mapping[str, Written]) -> Any:
        """Fields below each other."""
        from ruamel.yaml.comments import CommentedMap

        return CommentedMap({name: self.written(value) for name, value in fields.items()})

    def places(self, name: str, field: str) -> tuple[Path, ...]:
        """A field's place, and where else it stands because a profile is an alias of this one."""
        profile = self.profiles[name]
        return tuple(("profiles", n, field) for n, p in self.profiles.items() if p is profile)

    def cut_tail(self, mapping: Any, key: str) -> str:
        """Takes the comments on the lines below a value, and gives them; its own line's stays."""
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
        """Puts comments on the lines below a value that has none there."""
        holder, last, slot = _holder(mapping, key)
        tokens = holder.ca.items.setdefault(last, [None] * (4 if slot else 2))
        if tokens[slot] is not None:
            tokens[slot].value += tail
        elif tail:
            tokens[slot] = _comment("\n" + tail, 0)

    def add_head(self, mapping: Any, head: str) -> None:
        """Puts comments above the first key."""
        lines = [line for line in head.splitlines() if line.strip()]
        if lines:
            width = len(lines[0]) - len(lines[0].lstrip())
            mapping.ca.comment = [None, [_comment(f"{line.strip()}\n", width) for line in lines]]

    def text(self, changed: Collection[Path]) -> str:
        """The text of the values as they are now.

        Raises:
            CommandFailed: more than these places would change.
        """
        written = io.StringIO()
        self._yaml.dump(self._root, written)
        text = self._opening + written.getvalue()
        for path in differing(self._before, text):
            # `profiles:` with nothing below it is a value too.
            if path != ("profiles",) and not any(path[: len(p)] == p for p in changed):
                raise CommandFailed(
                    f"{dotted(path)} would not stay as it is; put its value into quotes, or make "
                    "the change by hand"
                )
        return text.replace("\n", "\r\n") if self._has_crlf else text


def _round_trip(text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.resolver import VersionedResolver

    class TextResolver(VersionedResolver):
        """Takes every plain value for text, so that 0123, 1e5 and 2026-01-01 stay as written."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            return super().resolve(kind, "text" if isinstance(value, str) else value, implicit)

    yaml = YAML()
    yaml.Resolver = TextResolver
    yaml.preserve_quotes = True
    yaml.explicit_start = text.startswith("---")
    yaml.width = 1_000_000  # breaks no line that was not broken
    step = len(match[1]) if (match := _MAPPING.search(text)) else 2
    offset = len(match[2]) - len(match[1]) if (match := _LIST.search(text)) else 2
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    return yaml


def _holder(mapping: Any, key: Any) -> tuple[Any, Any, int]:
    """The collection, key and slot where ruamel.yaml keeps the comment behind a value."""
    value = mapping[key]
    while hasattr(value, "fa") and not value.fa.flow_style() and len(value):
        mapping, key = value, list(value)[-1] if hasattr(value, "keys") else len(value) - 1
        value = mapping[key]
    return mapping, key, 2 if hasattr(mapping, "keys") else 0


def _comment(text: str, column: int) -> Any:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    return CommentToken(text, CommentMark(column), None)


# A profile's fields as YAML has them: text, a reference, a list of rules.
Fields = Mapping[str, Written]


def put_profile(text: str, name: str, fields: Fields) -> str:
    """The text with that profile, new or in the place of the one of that name.

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
    """The text with one field of a profile set; a new one comes behind another."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    if field in profile:
        profile[field] = tree.written(value, profile[field])
    else:
        tail = tree.cut_tail(profile, after)
        profile.insert(list(profile).index(after) + 1, field, tree.written(value))
        tree.add_tail(profile, field, tail)
    return tree.text(tree.places(name, field))


def remove_field(text: str, name: str, field: str) -> str:
    """The text without one field of a profile; comments below it stay."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    before = list(profile)[: list(profile).index(field)]
    tail = tree.cut_tail(profile, field)
    places = tree.places(name, field)
    del profile[field]
    if before:
        tree.add_tail(profile, before[-1], tail)
    else:
        tree.add_head(profile, tail)
    return tree.text(places)
