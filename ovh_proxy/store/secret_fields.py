"""A secret as the files write it: text, or one reference."""

from collections.abc import Callable

from ovh_proxy.config.field_types import FieldType, Schema, T, list_of, parsed, text
from ovh_proxy.config.nodes import NodeCursor, suggestion
from ovh_proxy.config.secret_references import KINDS, Reference, Unresolved, parse_secret
from ovh_proxy.core.secret import Secret
from ovh_proxy.store.nodes import Entries

_DOCS = {
    "env": "Name of the environment variable that holds it.",
    "file": "File that holds it alone; relative to this file. A newline at its end is dropped.",
    "command": "Program and arguments that print it; no shell, at most 10 s.",
    "keyring": "Service and user name in the system's keyring (extra ovh-proxy[keyring]).",
}
_WORD = text(str)
_WORDS = list_of(_WORD, empty="is empty; name the program and its arguments")


def _reference_schema(kind: str) -> Schema:
    field_type = _WORDS.schema if kind in ("command", "keyring") else _WORD.schema
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [kind],
        "properties": {kind: {"description": _DOCS[kind], **field_type}},
    }


REFERENCE_SCHEMAS = tuple(_reference_schema(kind) for kind in KINDS)
# A key of digits alone is a number to YAML, and to an editor; we take its text as written.
_TEXT_SCHEMA: Schema = {"type": ["string", "number"], "minLength": 1, "pattern": "^[!-~]+$"}


def read_reference(cursor: NodeCursor) -> Reference:
    """The mapping of exactly one kind to where the secret is kept."""
    entries = cursor.entries()
    if len(entries) != 1:
        raise cursor.add_problem(f"a reference has exactly one key of {', '.join(KINDS)}")
    ((kind, argument),) = entries.items()
    if kind not in KINDS:
        raise cursor.add_problem(f"unknown kind of reference; {suggestion(kind, KINDS)}")
    if kind in ("command", "keyring"):
        return Reference(kind, _WORDS.read(argument))
    return Reference(kind, (_WORD.read(argument),))


def secret(of: Callable[[Secret], T]) -> FieldType[T]:
    """A secret in text or by reference, and what becomes of it."""

    def read(cursor: NodeCursor) -> T:
        if isinstance(cursor.node, Entries):
            return of(read_referenced(cursor))
        return of(parsed(cursor, parse_secret, cursor.text()))

    return FieldType(read, {"anyOf": [_TEXT_SCHEMA, *REFERENCE_SCHEMAS]})


def read_referenced(cursor: NodeCursor) -> Secret:
    """The secret that a reference points at."""
    found = cursor.reading.secret(cursor.path, read_reference(cursor))
    if isinstance(found, Unresolved):
        raise cursor.add_problem(found.reason)
    return found


def itself(secret: Secret) -> Secret:
    """The secret, kept as one."""
    return secret


def revealed(secret: Secret) -> str:
    """The text of what is told to be secret but is none, such as a client id."""
    return secret.reveal()
