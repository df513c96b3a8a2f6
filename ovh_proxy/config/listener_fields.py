"""Listeners as the settings write them: addresses, hosts, TLS files."""

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import (
    Field,
    FieldType,
    by_kind,
    list_of,
    mapped,
    mapping_of,
    parsed,
    text,
    whole_number,
)
from ovh_proxy.config.nodes import Entries, NodeCursor, suggestion
from ovh_proxy.config.profile_fields import (
    PROFILE_NAME,
    PROFILE_NAMES_EMPTY,
    note_both,
    one_or_several,
)
from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.settings import (
    Address,
    AutoTls,
    InheritedAddress,
    Listener,
    TcpAddress,
    TlsFiles,
    UnixAddress,
)

_TCP = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})")

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")

_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")

_DEFAULT_PORTS = {"http": "80", "https": "443"}

# sockaddr_un.sun_path of Linux, less the byte that ends it.
_MAX_SOCKET_PATH = 107

_FORMS = "write HOST:PORT, [IPv6]:PORT, unix:/PATH, unix:@NAME or fd:NUMBER"


def parse_address(text: str) -> Address:
    """Where to listen.

    Raises:
        ValueError: none of the forms; the text says which to write.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix":
        return parse_unix(rest)
    if kind == "fd":
        return parse_descriptor(rest)
    return parse_tcp(text)


def parse_tcp(text: str) -> TcpAddress:
    """A host or address, and a port.

    Raises:
        ValueError: one of them is missing or malformed; the text says what to write.
    """
    if re.fullmatch(r":?[0-9]+", text):
        raise ValueError("has no host; write 127.0.0.1:PORT for this machine alone")
    if text.startswith("*:"):
        raise ValueError("has no host; write 0.0.0.0:PORT or [::]:PORT for all addresses")
    match = _TCP.fullmatch(text)
    if match is None:
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            raise ValueError("an IPv6 address is written in brackets: [::1]:8080")
        raise ValueError(f"is no address to listen on; {_FORMS}")
    bracketed, name, port = match.groups()
    if int(port) > 65535:
        raise ValueError("has no such port; they go from 0 to 65535")
    return TcpAddress(parse_host_name(name if bracketed is None else f"[{bracketed}]"), int(port))


def parse_unix(path: str) -> UnixAddress:
    """The path of a socket, or @ and an abstract name.

    Raises:
        ValueError: nothing there, or longer than the system takes.
    """
    if path.startswith("//"):
        path = path.removeprefix("//")  # as in unix:///run/api.sock
    if path in ("", "@") or path.endswith("/") or "\0" in path:
        raise ValueError("has no socket; write unix:/PATH or unix:@NAME")
    if len(path.encode()) > _MAX_SOCKET_PATH:
        raise ValueError(f"is too long; a socket's path has at most {_MAX_SOCKET_PATH} bytes")
    return UnixAddress(path)


def parse_descriptor(text: str) -> InheritedAddress:
    """The number of an inherited socket; 0, 1 and 2 are standard input and output.

    Raises:
        ValueError: no number, or one of these.
    """
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 3:
        raise ValueError("is no inherited socket; write fd:3 or a higher number")
    return InheritedAddress(int(text))


def parse_host_name(text: str) -> str:
    """A name or address as Host headers are compared with it: lower case, no brackets, no dot.

    Raises:
        ValueError: with a port, a pattern, or what no name has.
    """
    host = text.lower().removesuffix(".")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if "*" in host:
        raise ValueError("has a pattern; write each host out")
    if re.fullmatch(r".*[^:]:[0-9]*", host):
        raise ValueError("has a port; a host is compared without it, leave it out")
    if not _NAME.fullmatch(host) or _NUMERIC.fullmatch(host) or len(host) > 253:
        raise ValueError("is no host; write a name or an IP address")
    return host


def parse_origin(text: str) -> str:
    """A browser's origin: lower case, without its scheme's own port.

    Raises:
        ValueError: not scheme://host[:port].
    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise ValueError("an origin is scheme://host or scheme://host:port, without a path or *")
    scheme, host, port = match.groups()
    default = port is None or port == _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if default else f"{scheme}://{host}:{port}"


def is_exposed(address: Address) -> bool:
    """Whether other machines may reach an address.

    An inherited socket tells where it listens only when it is opened: ask again then.
    """
    return isinstance(address, TcpAddress) and not is_loopback(address.host)


def _read_path(cursor: NodeCursor) -> str:
    """A file's absolute path; a relative one is relative to the file that names it."""
    return os.path.abspath(os.path.join(cursor.reading.directory, cursor.text()))


PATH: FieldType[str] = FieldType(_read_path, {"type": "string", "minLength": 1})


_TLS_FILES = mapping_of(
    TlsFiles,
    Field("cert", PATH, "PEM file of the certificate and its chain.", required=True),
    Field("key", PATH, "PEM file of the certificate's key.", required=True),
    Field("client_ca", PATH, "PEM file of who may sign client certificates; makes them mandatory."),
)


def _read_tls(cursor: NodeCursor) -> TlsFiles | AutoTls:
    if isinstance(cursor.node, Entries):
        return _TLS_FILES.read(cursor)
    if cursor.text() == "auto":
        return AutoTls(str(cursor.reading.state))
    raise cursor.add_problem("is auto, or a mapping: {cert: FILE, key: FILE}")


TLS: FieldType[TlsFiles | AutoTls] = FieldType(
    _read_tls, {"anyOf": [{"const": "auto"}, _TLS_FILES.schema]}
)


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
