"""Hosts with their ports: the Host header read, and which of them are OVHcloud endpoints."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import ENDPOINTS, OLDER_HOSTS, Endpoint
from ovh_proxy.core.errors import BadRequest
from ovh_proxy.core.settings import Store


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host and a port.

    Attributes:
        name: in lower case, without brackets or a dot at the end.
        port: None stands for any port: DNS pointed the name to this proxy.
    """

    name: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.name}]" if ":" in self.name else self.name
        return host if self.port is None else f"{host}:{self.port}"


@lru_cache(maxsize=256)
def host_port_of(url: str) -> HostPort:
    """The host and port of a base URL or token URL."""
    parts = urlsplit(url)
    return HostPort(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


_ENDPOINTS = frozenset(host_port_of(endpoint.base_url) for endpoint in ENDPOINTS.values())
_ENDPOINT_NAMES = frozenset(host_port.name for host_port in _ENDPOINTS)
# People log in there too: only `/auth/oauth2/token` belongs to the API.
TOKEN_HOSTS = frozenset(
    host_port_of(endpoint.token_url) for endpoint in ENDPOINTS.values() if endpoint.token_url
)


def is_endpoint(host_port: HostPort, store: Store) -> bool:
    """Whether it is an OVHcloud endpoint or the endpoint of a profile."""
    return HostPort(_current_name(host_port.name), host_port.port) in _ENDPOINTS or any(
        host_port == host_port_of(profile.endpoint.base_url) for profile in store.profiles.values()
    )


def is_endpoint_name(name: str, store: Store) -> bool:
    """Whether a host name in lower case is that of an endpoint, at any port."""
    return _current_name(name) in _ENDPOINT_NAMES or any(
        name == host_port_of(profile.endpoint.base_url).name for profile in store.profiles.values()
    )


def is_at(endpoint: Endpoint, host_port: HostPort) -> bool:
    """Whether an endpoint has this host and port."""
    found = host_port_of(endpoint.base_url)
    return found.name in (host_port.name, _current_name(host_port.name)) and host_port.port in (
        None,
        found.port,
    )


def _current_name(name: str) -> str:
    return OLDER_HOSTS.get(name, name)


# RFC 1035 section 2.3.4: a name has at most 255 octets.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::([0-9]{0,5}))?")


@dataclass(frozen=True, slots=True)
class Host:
    """A parsed Host header: the name in lower case, without brackets or trailing dot."""

    name: str
    port: int | None


@lru_cache(maxsize=256)  # a client sends the same value in every request
def parse_host_header(raw: bytes | None) -> Host:
    """Parses a Host header.

    Raises:
        BadRequest: it is missing, empty, or contains a user, a path or a list.
    """
    if raw is None:
        raise BadRequest("the request has no Host header")
    match = _HOST.fullmatch(raw)
    if match is None:
        raise BadRequest("malformed Host header; it must be a host with an optional port")
    name, port = match.groups()
    return Host(_canonical(name.decode("ascii")), int(port) if port else None)


def _canonical(name: str) -> str:
    if name.startswith("["):
        try:
            return str(ipaddress.IPv6Address(name[1:-1]))
        except ValueError:
            raise BadRequest(
                "malformed Host header; the text in brackets is not an IPv6 address"
            ) from None
    return name.lower().removesuffix(".")
