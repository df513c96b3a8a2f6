"""Clients as the settings write them."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import Field, FieldType, list_of, mapping_of, text, whole_number
from ovh_proxy.config.nodes import Entries, NodeCursor, invalid
from ovh_proxy.config.profile_fields import (
    NAME_RULE,
    PROFILE_FIELDS,
    REFERENCE_SCHEMAS,
    RULES,
    read_referenced,
    report_both_profile_keys,
    report_versioned_rules,
    with_profiles_list,
)
from ovh_proxy.core.settings import NAME, Client

_HEX = re.compile(r"[0-9a-fA-F]{64}")


def _parse_name(written: str) -> str:
    if not NAME.fullmatch(written):
        raise ValueError(invalid("client name", written, NAME_RULE))
    return written


def _parse_digest(written: str) -> bytes:
    if not _HEX.fullmatch(written):
        raise ValueError(
            "invalid SHA-256 (not shown, it may be a secret); write the 64 hexadecimal digits that "
            "`ovh-proxy token` prints"
        )
    return bytes.fromhex(written)


_DIGEST = mapping_of(
    lambda sha256: sha256,
    Field(
        "sha256",
        text(_parse_digest, type=["string", "number"], pattern=f"^{_HEX.pattern}$"),
        "SHA-256 of the token, in hexadecimal. `ovh-proxy token` prints it.",
        required=True,
    ),
)


def _read_token(cursor: NodeCursor) -> bytes:
    if not isinstance(cursor.node, Entries):
        raise cursor.add_problem(
            "plain-text tokens are not allowed here; write token: {sha256: …} as `ovh-proxy token` "
            "prints it, or a reference such as {file: …}"
        )
    if "sha256" in cursor.node.entries:
        digest: bytes = _DIGEST.read(cursor)
        return digest
    return hashlib.sha256(read_referenced(cursor).reveal().encode()).digest()


def _check_client(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    report_both_profile_keys(cursor)
    if "access_rules" in cursor.entries() and cursor.context.is_versioned:
        report_versioned_rules(cursor.entries()["access_rules"])


def _build(token: bytes, **values: Any) -> Client:
    return Client(digest=token, **with_profiles_list(values))


_CLIENT = mapping_of(
    _build,
    Field(
        "name", text(_parse_name, pattern=f"^{NAME.pattern}$"), "Name of the client in logs.", True
    ),
    Field(
        "token",
        FieldType(_read_token, {"anyOf": [_DIGEST.schema, *REFERENCE_SCHEMAS]}),
        "Token that the client sends: its SHA-256, or a reference to the token.",
        required=True,
    ),
    *PROFILE_FIELDS,
    Field(
        "access_rules",
        RULES,
        "The only calls that the client may make, within the rules of the profile.",
    ),
    Field("requests_per_minute", whole_number(1), "Rate limit of the client. No limit by default."),
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
                f"duplicate name {client.name!r}, used by clients[{names[client.name]}]; "
                "choose another"
            )
        if client.digest in digests:
            item.add_problem(
                f"duplicate token, used by clients[{digests[client.digest]}]; make another with "
                "`ovh-proxy token`"
            )
        names.setdefault(client.name, index)
        digests.setdefault(client.digest, index)
    return clients


CLIENTS: FieldType[tuple[Client, ...]] = FieldType(_read_clients, _LIST.schema)
