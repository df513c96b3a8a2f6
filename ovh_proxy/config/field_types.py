"""What a value of a file may look like: how it is read, and the JSON schema of it.

A field type pairs a function with a JSON schema, so that neither is changed without the other.
Reading reports every problem below a value before it gives the value up.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ovh_proxy.config.nodes import (
    BOOLEANS,
    Entries,
    Invalid,
    NodeCursor,
    Scalar,
    missing,
    out_of_range,
    wrong_type,
)
from ovh_proxy.core.redaction import unknown

T = TypeVar("T")
U = TypeVar("U")
Schema = Mapping[str, Any]
_WHOLE = re.compile(r"0|[1-9][0-9]{0,14}")
_SECONDS = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class FieldType(Generic[T]):
    """`read` returns the value, or reports what is wrong and raises Invalid."""

    read: Callable[[NodeCursor], T]
    schema: Schema


def parsed(cursor: NodeCursor, parse: Callable[[str], T], text: str) -> T:
    """The result of `parse`; its ValueError becomes a problem of this value."""
    try:
        return parse(text)
    except ValueError as failure:
        message = str(failure)
    raise cursor.add_problem(message)


def text(parse: Callable[[str], T], **schema: Any) -> FieldType[T]:
    """A scalar, as written."""
    return FieldType(
        lambda cursor: parsed(cursor, parse, cursor.text()),
        {"type": "string", "minLength": 1} | schema,
    )


def choice(**known: T) -> FieldType[T]:
    """One of several names, and the value each stands for."""

    def read(cursor: NodeCursor) -> T:
        name = cursor.text()
        if name not in known:
            raise cursor.add_problem(unknown("value", name, known, is_shown=None))
        return known[name]

    return FieldType(read, {"enum": list(known)})


def boolean() -> FieldType[bool]:
    def read(cursor: NodeCursor) -> bool:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or node.text not in BOOLEANS:
            raise cursor.add_problem(wrong_type("true or false", node))
        return BOOLEANS[node.text]

    return FieldType(read, {"type": "boolean"})


def whole_number(least: int, most: int | None = None) -> FieldType[int]:
    """A number in digits, without quotes."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def read(cursor: NodeCursor) -> int:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or not _WHOLE.fullmatch(node.text):
            raise cursor.add_problem(
                wrong_type(f"a whole number ({bounds})", node, "write it in digits, without quotes")
            )
        number = int(node.text)
        if number < least or (most is not None and number > most):
            raise cursor.add_problem(out_of_range(node.text, bounds))
        return number

    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return FieldType(read, {"type": "integer"} | limits)


def seconds(zero: bool = False) -> FieldType[float]:
    """A duration; `zero` says whether 0 is allowed."""

    def read(cursor: NodeCursor) -> float:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or not _SECONDS.fullmatch(node.text):
            raise cursor.add_problem(
                wrong_type("a number of seconds", node, "write it in digits, such as 10 or 2.5")
            )
        if not float(node.text) and not zero:
            raise cursor.add_problem(out_of_range(node.text, "more than 0 seconds"))
        return float(node.text)

    return FieldType(read, {"type": "number", "minimum" if zero else "exclusiveMinimum": 0})


def or_null(field_type: FieldType[T]) -> FieldType[T | None]:
    """A value that may be null."""
    return FieldType(
        lambda cursor: None if cursor.is_null else field_type.read(cursor),
        {"anyOf": [field_type.schema, {"type": "null"}]},
    )


def list_of(field_type: FieldType[T], empty: str = "") -> FieldType[tuple[T, ...]]:
    """A list; `empty` is the message for an empty one, "" if it is allowed."""

    def read(cursor: NodeCursor) -> tuple[T, ...]:
        items = cursor.items()
        if not items and empty:
            raise cursor.add_problem(empty)
        values = [value for item in items for value in item.attempt(field_type.read)]
        if len(values) < len(items):
            raise Invalid
        return tuple(values)

    least = {"minItems": 1} if empty else {}
    return FieldType(read, {"type": "array", "items": field_type.schema} | least)


def mapped(field_type: FieldType[T], make: Callable[[T], U]) -> FieldType[U]:
    """A value, converted by a function."""
    return FieldType(lambda cursor: make(field_type.read(cursor)), field_type.schema)


def scalar_or_mapping(scalar: FieldType[T], mapping: FieldType[T]) -> FieldType[T]:
    """A value with a short form, one text, and a long form, a mapping."""

    def read(cursor: NodeCursor) -> T:
        return (mapping if isinstance(cursor.node, Entries) else scalar).read(cursor)

    return FieldType(read, {"anyOf": [scalar.schema, mapping.schema]})


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a mapping; `doc` is the description that editors show."""

    name: str
    field_type: FieldType[Any]
    doc: str
    required: bool = False


Check = Callable[[NodeCursor, Mapping[str, Any]], None]


def no_check(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    """The check of a mapping whose fields do not depend on each other."""


def mapping_of(
    build: Callable[..., T], *fields: Field, check: Check = no_check, **schema: Any
) -> FieldType[T]:
    """A mapping with these keys and no others.

    Args:
        check: reports contradictions between fields; it gets those that could be read.
    """

    def read(cursor: NodeCursor) -> T:
        problems = cursor.context.problems
        before = len(problems)
        cursor.report_unknown_keys(tuple(field.name for field in fields))
        values = dict(_read_fields(cursor, fields))
        check(cursor, values)
        if len(problems) > before:
            raise Invalid
        return build(**values)

    return FieldType(read, _mapping_schema(fields) | schema)


def _read_fields(cursor: NodeCursor, fields: tuple[Field, ...]) -> Iterator[tuple[str, Any]]:
    entries = cursor.entries()
    for field in fields:
        if field.name in entries:
            for value in entries[field.name].attempt(field.field_type.read):
                yield field.name, value
        elif field.required:
            cursor.child(field.name, cursor.node).add_problem(missing(field.doc))


def _mapping_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    properties = {
        field.name: {"description": field.doc, **field.field_type.schema} for field in fields
    }
    required = [field.name for field in fields if field.required]
    field_type = {"type": "object", "additionalProperties": False, "properties": properties}
    return field_type | ({"required": required} if required else {})
