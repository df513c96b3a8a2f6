"""A mapping with fixed keys: which ones, of what shape, and what an editor shows for each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ovh_proxy.config.field_types import FieldType, T
from ovh_proxy.config.nodes import Invalid, NodeCursor


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a mapping; `doc` is what an editor shows for it."""

    name: str
    field_type: FieldType[Any]
    doc: str
    required: bool = False


Check = Callable[[NodeCursor, Mapping[str, Any]], None]


def no_check(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    """A mapping whose fields have nothing to do with each other."""


def mapping_of(
    build: Callable[..., T], *fields: Field, check: Check = no_check, **schema: Any
) -> FieldType[T]:
    """A mapping with these keys and no others.

    Args:
        check: notes what is wrong between fields; it gets those that could be read.
    """

    def read(cursor: NodeCursor) -> T:
        problems = cursor.reading.problems
        before = len(problems)
        cursor.report_unknown(field.name for field in fields)
        values = dict(_read_fields(cursor, fields))
        check(cursor, values)
        if len(problems) > before:
            raise Invalid
        return build(**values)

    return FieldType(read, _record_schema(fields) | schema)


def _read_fields(cursor: NodeCursor, fields: tuple[Field, ...]) -> Iterator[tuple[str, Any]]:
    entries = cursor.entries()
    for field in fields:
        if field.name in entries:
            for value in entries[field.name].attempt(field.field_type.read):
                yield field.name, value
        elif field.required:
            cursor.below(field.name, cursor.node).add_problem(f"is missing: {field.doc}")


def _record_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    properties = {
        field.name: {"description": field.doc, **field.field_type.schema} for field in fields
    }
    required = [field.name for field in fields if field.required]
    field_type = {"type": "object", "additionalProperties": False, "properties": properties}
    return field_type | ({"required": required} if required else {})
