"""Addresses, hosts and origins as a person writes them."""

import ipaddress
import re

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.settings import Address, InheritedAddress, TcpAddress, UnixAddress

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
