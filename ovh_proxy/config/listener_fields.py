"""Listeners as the settings write them: addresses, hosts, TLS files."""

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import (
    Field,
    FieldType,
    list_of,
    mapped,
    mapping_of,
    parsed,
    scalar_or_mapping,
    text,
    whole_number,
)
from ovh_proxy.config.nodes import Entries, NodeCursor, invalid, out_of_range, wrong_type
from ovh_proxy.config.profile_fields import (
    PROFILE_FIELDS,
    report_both_profile_keys,
    with_profiles_list,
)
from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.redaction import shown, unknown
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
    """The address to listen on.

    Raises:
        ValueError: malformed; the text says what to write.
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
        ValueError: malformed; the text says what to write.
    """
    if re.fullmatch(r":?[0-9]+", text):
        port = text.removeprefix(":")
        raise ValueError(f"address {shown(text)} has no host; write 127.0.0.1:{port}")
    if text.startswith("*:"):
        raise ValueError(
            f"address {shown(text)} has no host; write 0.0.0.0:PORT or [::]:PORT for all addresses"
        )
    match = _TCP.fullmatch(text)
    if match is None:
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            raise ValueError(invalid("address", text, "write IPv6 in brackets: [::1]:8080"))
        raise ValueError(invalid("address", text, _FORMS))
    bracketed, name, port = match.groups()
    if int(port) > 65535:
        raise ValueError(out_of_range(f"port {port}", "0 to 65535"))
    return TcpAddress(parse_host_name(name if bracketed is None else f"[{bracketed}]"), int(port))


def parse_unix(path: str) -> UnixAddress:
    """A socket's path, or @ and an abstract name.

    Raises:
        ValueError: empty, or longer than the system allows.
    """
    if path.startswith("//"):
        path = path.removeprefix("//")  # as in unix:///run/api.sock
    if path in ("", "@") or path.endswith("/") or "\0" in path:
        raise ValueError(invalid("unix socket", path, "write unix:/PATH or unix:@NAME"))
    if len(path.encode()) > _MAX_SOCKET_PATH:
        raise ValueError(
            f"unix socket {shown(path)} is too long; use a path of at most {_MAX_SOCKET_PATH} bytes"
        )
    return UnixAddress(path)


def parse_descriptor(text: str) -> InheritedAddress:
    """The number of an inherited socket; 0, 1 and 2 are standard input and output.

    Raises:
        ValueError: no number, or a number below 3.
    """
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 3:
        raise ValueError(invalid("inherited socket", text, "write fd:3 or a higher number"))
    return InheritedAddress(int(text))


def parse_host_name(text: str) -> str:
    """A host in the form that Host headers are compared with: lower case, no brackets, no dot.

    Raises:
        ValueError: malformed, or with a port or a pattern; the text says what to write.
    """
    host = text.lower().removesuffix(".")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if "*" in host:
        raise ValueError(f"host {shown(text)} has a pattern; list each host")
    if re.fullmatch(r".*[^:]:[0-9]*", host):
        raise ValueError(f"host {shown(text)} has a port; remove the port")
    if not _NAME.fullmatch(host) or _NUMERIC.fullmatch(host) or len(host) > 253:
        raise ValueError(invalid("host", text, "write a host name or an IP address"))
    return host


def parse_origin(text: str) -> str:
    """A browser's origin: lower case, without its scheme's default port.

    Raises:
        ValueError: not scheme://host[:port].
    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise ValueError(
            invalid(
                "origin", text, "write scheme://host or scheme://host:port, without a path or *"
            )
        )
    scheme, host, port = match.groups()
    default = port is None or port == _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if default else f"{scheme}://{host}:{port}"


def is_exposed(address: Address) -> bool:
    """Whether other machines may reach an address.

    The address of an inherited socket is known only once it is opened: check again then.
    """
    return isinstance(address, TcpAddress) and not is_loopback(address.host)


def _read_path(cursor: NodeCursor) -> str:
    """An absolute path; a relative one is relative to the configuration file."""
    written = cursor.text()
    if "-----BEGIN" in written or "\n" in written:
        raise cursor.add_problem("expected the path of a file, got its contents; write the path")
    return os.path.abspath(os.path.join(cursor.context.directory, written))


PATH: FieldType[str] = FieldType(_read_path, {"type": "string", "minLength": 1})

_TLS_FILES = mapping_of(
    TlsFiles,
    Field("cert", PATH, "PEM file with the certificate and its chain.", required=True),
    Field("key", PATH, "PEM file with the private key.", required=True),
    Field(
        "client_ca",
        PATH,
        "PEM file with the authorities of client certificates. Makes them mandatory.",
    ),
)


def _read_tls(cursor: NodeCursor) -> TlsFiles | AutoTls:
    if isinstance(cursor.node, Entries):
        return _TLS_FILES.read(cursor)
    if cursor.text() == "auto":
        return AutoTls(str(cursor.context.state_directory))
    raise cursor.add_problem(
        wrong_type("auto or a mapping", cursor.node, "write auto, or {cert: FILE, key: FILE}")
    )


TLS: FieldType[TlsFiles | AutoTls] = FieldType(
    _read_tls, {"anyOf": [{"const": "auto"}, _TLS_FILES.schema]}
)

_MODE = re.compile(r"0o?[0-7]{3}")
_KINDS = ("tcp", "unix", "fd")


def _parse_mode(written: str) -> int:
    if not _MODE.fullmatch(written):
        raise ValueError(
            invalid("mode", written, 'write it in octal with a leading 0, in quotes: "0660"')
        )
    return int(written.removeprefix("0o"), 8)


def _read_client(cursor: NodeCursor) -> str:
    name, known = cursor.text(), cursor.context.clients
    if name not in known:
        raise cursor.add_problem(unknown("client", name, sorted(known), is_shown=None))
    return name


_NO_ACCESS = "an empty list allows no one; list some, or remove the key to allow all"
_UID = whole_number(0, 2**32 - 2)


def _check_listener(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    entries = cursor.entries()
    kinds = [kind for kind in _KINDS if kind in entries]
    if len(kinds) != 1:
        got = " and ".join(kinds) or "none"
        cursor.add_problem(f"a listener needs exactly one of tcp, unix, fd, got {got}")
    report_both_profile_keys(cursor)
    for kind in kinds:
        if kind in values:
            _check_address(cursor, entries, values[kind])


def _check_address(cursor: NodeCursor, entries: Mapping[str, NodeCursor], address: Address) -> None:
    is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
    for key in ("mode", "owner", "group"):
        if key in entries and not is_file:
            entries[key].add_problem(f"{key} is only for a unix socket with a path; remove it")
    if "uids" in entries and not isinstance(address, UnixAddress):
        entries["uids"].add_problem("uids is only for a unix socket; remove it")
    if "tls" in entries and isinstance(address, UnixAddress):
        entries["tls"].add_problem("tls is not for a unix socket; remove it")
    _report_exposed(cursor, address)


def _report_exposed(cursor: NodeCursor, address: Address) -> None:
    if cursor.context.refuses_open and is_exposed(address):
        cursor.add_problem(
            f"other machines can reach {address} and use your keys; set up `clients` with a token "
            "each (`ovh-proxy token` makes one), or allow it with --allow-open"
        )


def _build(**values: Any) -> Listener:
    values = with_profiles_list(values)
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
        'Permissions of the socket file, octal. "0600" by default.',
    ),
    Field("owner", text(str, type=["string", "integer"]), "Owner of the socket file."),
    Field("group", text(str, type=["string", "integer"]), "Group of the socket file."),
    Field(
        "uids",
        mapped(list_of(_UID, empty=_NO_ACCESS), frozenset),
        "Numeric ids of users that may connect to a unix socket. All by default.",
    ),
    *PROFILE_FIELDS,
    Field(
        "clients",
        mapped(list_of(FieldType(_read_client, text(str).schema), empty=_NO_ACCESS), frozenset),
        "Names of the only clients that may use this listener.",
    ),
    Field(
        "tls",
        TLS,
        "Serves HTTPS: auto for certificates of the local authority, or PEM files, relative to "
        "this file.",
    ),
    check=_check_listener,
    oneOf=[{"required": [kind]} for kind in _KINDS],
)


def _read_short(cursor: NodeCursor) -> Listener:
    address = parsed(cursor, parse_address, cursor.text())
    _report_exposed(cursor, address)
    return Listener(address)


_SHORT_SCHEMA = text(parse_address).schema
LISTENER: FieldType[Listener] = scalar_or_mapping(FieldType(_read_short, _SHORT_SCHEMA), _MAPPING)
ADMIN_ADDRESS: FieldType[Address] = text(parse_address)
