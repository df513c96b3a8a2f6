"""A listener as the settings write it: an address in one text, or a mapping."""

import re
from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import (
    FieldType,
    by_kind,
    list_of,
    mapped,
    parsed,
    text,
    whole_number,
)
from ovh_proxy.config.nodes import NodeCursor, suggestion
from ovh_proxy.config.profile_fields import (
    PROFILE_NAME,
    PROFILE_NAMES_EMPTY,
    note_both,
    one_or_several,
)
from ovh_proxy.core.settings import Address, Listener, UnixAddress
from ovh_proxy.store.address import (
    is_exposed,
    parse_address,
    parse_descriptor,
    parse_tcp,
    parse_unix,
)
from ovh_proxy.store.record import Field, mapping_of
from ovh_proxy.store.tls_field import TLS

_MODE = re.compile(r"0o?[0-7]{3}")
_EXPOSED = (
    "other machines could use your keys here: set up `clients` with a token each "
    "(`ovh-proxy token` makes one), or allow it with --allow-open"
)
_KINDS = ("tcp", "unix", "fd")


def _parse_mode(written: str) -> int:
    if not _MODE.fullmatch(written):
        raise ValueError('a mode is octal, with its leading 0 and in quotes: "0660"')
    return int(written.removeprefix("0o"), 8)


def _read_client(cursor: NodeCursor) -> str:
    name, known = cursor.text(), cursor.reading.clients
    if name not in known:
        raise cursor.add_problem(f"names no client of `clients`; {suggestion(name, sorted(known))}")
    return name


_NOBODY = "lets nobody in; name some, or leave the key out to let in all"
_UID = whole_number(0, 2**32 - 2)


def _check_listener(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    entries = cursor.entries()
    kinds = [kind for kind in _KINDS if kind in entries]
    if len(kinds) != 1:
        cursor.add_problem("an address is exactly one of tcp, unix, fd")
    note_both(cursor)
    for kind in kinds:
        if kind in values:
            _check_address(cursor, entries, values[kind])


def _check_address(cursor: NodeCursor, entries: Mapping[str, NodeCursor], address: Address) -> None:
    file = isinstance(address, UnixAddress) and not address.path.startswith("@")
    for key in ("mode", "owner", "group"):
        if key in entries and not file:
            entries[key].add_problem("is for a unix socket with a path; leave it out")
    if "uids" in entries and not isinstance(address, UnixAddress):
        entries["uids"].add_problem("is for a unix socket; leave it out")
    if "tls" in entries and isinstance(address, UnixAddress):
        entries["tls"].add_problem("is for tcp; leave it out")
    _note_exposed(cursor, address)


def _note_exposed(cursor: NodeCursor, address: Address) -> None:
    if cursor.reading.refuses_open and is_exposed(address):
        cursor.add_problem(_EXPOSED)


def _build(**values: Any) -> Listener:
    values = one_or_several(values)
    for kind in _KINDS:
        if kind in values:
            values["address"] = values.pop(kind)
    return Listener(**values)


_MAPPING = mapping_of(
    _build,
    Field("tcp", text(parse_tcp), "HOST:PORT or [IPv6]:PORT."),
    Field("unix", text(parse_unix), "Path of a socket file, or @ and an abstract name (Linux)."),
    Field(
        "fd", text(parse_descriptor, type=["integer", "string"]), "Number of an inherited socket."
    ),
    Field(
        "mode",
        text(_parse_mode, type=["string", "integer"]),
        'Permissions of a unix socket\'s file, octal; "0600" by default.',
    ),
    Field("owner", text(str, type=["string", "integer"]), "User that owns the socket file."),
    Field("group", text(str, type=["string", "integer"]), "Group of the socket file."),
    Field(
        "uids",
        mapped(list_of(_UID, empty=_NOBODY), frozenset),
        "Users, by number, that may connect to a unix socket; any by default.",
    ),
    Field("profile", PROFILE_NAME, "The only profile served here."),
    Field(
        "profiles",
        list_of(PROFILE_NAME, empty=PROFILE_NAMES_EMPTY),
        "The only profiles served here; the first is the default.",
    ),
    Field(
        "clients",
        mapped(list_of(FieldType(_read_client, text(str).schema), empty=_NOBODY), frozenset),
        "The only clients that may use this listener, by name.",
    ),
    Field(
        "tls",
        TLS,
        "Makes it https: auto for certificates of our own authority, or PEM files, relative to "
        "this file.",
    ),
    check=_check_listener,
    oneOf=[{"required": [kind]} for kind in _KINDS],
)


def _read_short(cursor: NodeCursor) -> Listener:
    address = parsed(cursor, parse_address, cursor.text())
    _note_exposed(cursor, address)
    return Listener(address)


_SHORT_SCHEMA = text(parse_address).schema

LISTENER: FieldType[Listener] = by_kind(FieldType(_read_short, _SHORT_SCHEMA), _MAPPING)
ADMIN_ADDRESS: FieldType[Address] = text(parse_address)
