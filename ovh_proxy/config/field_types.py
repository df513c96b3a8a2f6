"""What a value of a file may look like: how it is read, and what an editor is told of it.

A shape is a pair of a function and a JSON schema, so that neither can be changed alone. Reading
notes every problem below a value before it gives up on it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ovh_proxy.config.nodes import TRUTHS, Invalid, NodeCursor, one_of
from ovh_proxy.store.nodes import Entries, Scalar

T = TypeVar("T")
U = TypeVar("U")
Schema = Mapping[str, Any]

_WHOLE = re.compile(r"0|[1-9][0-9]{0,14}")
_SECONDS = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class FieldType(Generic[T]):
    """`read` gives the value, or notes what is wrong and raises Invalid."""

    read: Callable[[NodeCursor], T]
    schema: Schema


def parsed(cursor: NodeCursor, parse: Callable[[str], T], text: str) -> T:
    """What `parse` makes of a text; its ValueError becomes a problem here."""
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
    """One name of several."""
    return FieldType(
        lambda cursor: parsed(cursor, lambda word: one_of(word, known), cursor.text()),
        {"enum": list(known)},
    )


def truth() -> FieldType[bool]:
    def read(cursor: NodeCursor) -> bool:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or node.text not in TRUTHS:
            raise cursor.add_problem("true or false is expected here")
        return TRUTHS[node.text]

    return FieldType(read, {"type": "boolean"})


def whole_number(least: int, most: int | None = None) -> FieldType[int]:
    """Digits without quotes."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def read(cursor: NodeCursor) -> int:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or not _WHOLE.fullmatch(node.text):
            raise cursor.add_problem(f"a whole number is expected here ({bounds}), in digits alone")
        number = int(node.text)
        if number < least or (most is not None and number > most):
            raise cursor.add_problem(f"must be {bounds}")
        return number

    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return FieldType(read, {"type": "integer"} | limits)


def seconds(zero: bool = False) -> FieldType[float]:
    """A duration; `zero` says whether none at all is one."""

    def read(cursor: NodeCursor) -> float:
        node = cursor.node
        if not isinstance(node, Scalar) or not node.plain or not _SECONDS.fullmatch(node.text):
            raise cursor.add_problem("a number of seconds is expected here, such as 10 or 2.5")
        if not float(node.text) and not zero:
            raise cursor.add_problem("must be more than 0 seconds")
        return float(node.text)

    return FieldType(read, {"type": "number", "minimum" if zero else "exclusiveMinimum": 0})


def or_null(field_type: FieldType[T]) -> FieldType[T | None]:
    """A value that may be null, for none."""
    return FieldType(
        lambda cursor: None if cursor.is_null else field_type.read(cursor),
        {"anyOf": [field_type.schema, {"type": "null"}]},
    )


def list_of(field_type: FieldType[T], empty: str = "") -> FieldType[tuple[T, ...]]:
    """A list; `empty` says why it must have an item and what to do, "" when it need not."""

    def read(cursor: NodeCursor) -> tuple[T, ...]:
        places = cursor.items()
        if not places and empty:
            raise cursor.add_problem(empty)
        values = [value for item in places for value in item.attempt(field_type.read)]
        if len(values) < len(places):
            raise Invalid
        return tuple(values)

    least = {"minItems": 1} if empty else {}
    return FieldType(read, {"type": "array", "items": field_type.schema} | least)


def mapped(field_type: FieldType[T], make: Callable[[T], U]) -> FieldType[U]:
    """What a function makes of the value."""
    return FieldType(lambda cursor: make(field_type.read(cursor)), field_type.schema)


def by_kind(scalar: FieldType[T], mapping: FieldType[T]) -> FieldType[T]:
    """A short form in one text, or the long one as a mapping."""

    def read(cursor: NodeCursor) -> T:
        return (mapping if isinstance(cursor.node, Entries) else scalar).read(cursor)

    return FieldType(read, {"anyOf": [scalar.schema, mapping.schema]})
