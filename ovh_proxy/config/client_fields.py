"""Clients as the settings write them."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import Field, FieldType, list_of, mapping_of, text, whole_number
from ovh_proxy.config.nodes import Entries, NodeCursor
from ovh_proxy.config.profile_fields import (
    PROFILE_NAME,
    PROFILE_NAMES_EMPTY,
    REFERENCE_SCHEMAS,
    RULES,
    note_both,
    note_versioned_rules,
    one_or_several,
    read_referenced,
)
from ovh_proxy.core.settings import NAME, Client

_HEX = re.compile(r"[0-9a-fA-F]{64}")


def _parse_name(written: str) -> str:
    if not NAME.fullmatch(written):
        raise ValueError("a client's name has letters, digits, '.', '_' and '-', 64 at most")
    return written


def _parse_digest(written: str) -> bytes:
    if not _HEX.fullmatch(written):
        raise ValueError("is no SHA-256 in 64 hexadecimal digits; `ovh-proxy token` prints one")
    return bytes.fromhex(written)


_DIGEST = mapping_of(
    lambda sha256: sha256,
    Field(
        "sha256",
        text(_parse_digest, type=["string", "number"], pattern=f"^{_HEX.pattern}$"),
        "SHA-256 of the token in hexadecimal; `ovh-proxy token` prints it.",
        required=True,
    ),
)


def _read_token(cursor: NodeCursor) -> bytes:
    if not isinstance(cursor.node, Entries):
        raise cursor.add_problem(
            "a token does not stand here in clear; write token: {sha256: …} as `ovh-proxy token` "
            "prints it, or a reference such as {file: …}"
        )
    if "sha256" in cursor.node.entries:
        digest: bytes = _DIGEST.read(cursor)
        return digest
    return hashlib.sha256(read_referenced(cursor).reveal().encode()).digest()


def _check_client(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    note_both(cursor)
    if "access_rules" in cursor.entries() and cursor.reading.is_versioned:
        note_versioned_rules(cursor.entries()["access_rules"])


def _build(token: bytes, **values: Any) -> Client:
    return Client(digest=token, **one_or_several(values))


_CLIENT = mapping_of(
    _build,
    Field("name", text(_parse_name, pattern=f"^{NAME.pattern}$"), "What logs call it.", True),
    Field(
        "token",
        FieldType(_read_token, {"anyOf": [_DIGEST.schema, *REFERENCE_SCHEMAS]}),
        "What it shows to be let in: its SHA-256, or a reference to the token itself.",
        required=True,
    ),
    Field("profile", PROFILE_NAME, "The only profile it may use."),
    Field(
        "profiles",
        list_of(PROFILE_NAME, empty=PROFILE_NAMES_EMPTY),
        "The only profiles it may use; the first is its default.",
    ),
    Field("access_rules", RULES, "The only calls it may make, besides its profile's own rules."),
    Field("requests_per_minute", whole_number(1), "How many calls it may make; no bound without."),
    check=_check_client,
)
_LIST = list_of(_CLIENT)


def _read_clients(cursor: NodeCursor) -> tuple[Client, ...]:
    clients = _LIST.read(cursor)
    names: dict[str, int] = {}
    digests: dict[bytes, int] = {}
    for index, (item, client) in enumerate(zip(cursor.items(), clients, strict=True)):
        if client.name in names:
            item.add_problem(
                f"has the name of clients[{names[client.name]}]; give it one of its own"
            )
        if client.digest in digests:
            item.add_problem(
                f"has the token of clients[{digests[client.digest]}]; give it one of its own"
            )
        names.setdefault(client.name, index)
        digests.setdefault(client.digest, index)
    return clients


CLIENTS: FieldType[tuple[Client, ...]] = FieldType(_read_clients, _LIST.schema)
