"""What is asked of us as an HTTP proxy (CONNECT, absolute targets), who may ask, and where it leads."""  # noqa: E501 - the caption in one line

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import Enum

from ovh_proxy.core.errors import (
    BadRequest,
    BadTarget,
    HostRefused,
    ProxyTokenRefused,
    ProxyTokenRequired,
)
from ovh_proxy.core.name_constraints import NameConstraints
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.policy.client_auth import NOT_ACCEPTED, EntryPoint, client_of, proxy_tokens
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import (
    TOKEN_HOSTS,
    Host,
    HostPort,
    is_endpoint,
    is_endpoint_name,
    parse_host_header,
)

_ABSOLUTE = re.compile(rb"(https?)://([^/?#]*)([/?].*)?", re.IGNORECASE)
# Resolvers may read these as IPv4 addresses in an old notation: `127.1`, `0x7f000001`.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class AbsoluteTarget:
    """A target in absolute form.

    Attributes:
        scheme, host: as in the target.
        origin_form: path and query, as written.
    """

    scheme: str
    host: Host
    origin_form: bytes

    @property
    def port(self) -> int:
        return self.host.port or (443 if self.scheme == "https" else 80)

    @property
    def host_port(self) -> HostPort:
        """The upstream host: always with TLS at an endpoint, even if the client wrote http://."""
        is_default = self.host.port in (None, 443 if self.scheme == "https" else 80)
        return HostPort(self.host.name, 443 if is_default else self.port)


def parse_connect(target: bytes) -> HostPort:
    """The host and port of a CONNECT target (RFC 9112 section 3.2.3).

    Raises:
        BadTarget: not a host and a port.
    """
    host = _parse_authority(target)
    if not host.port or host.port > 65535:
        raise BadTarget("the target of CONNECT must be HOST:PORT")
    return HostPort(host.name, host.port)


def parse_absolute(target: bytes) -> AbsoluteTarget:
    """Parses a target in absolute form (RFC 9112 section 3.2.2).

    Raises:
        BadTarget: not in absolute form, or ambiguous.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadTarget("the target must be a path, or an http:// or https:// URL")
    host = _parse_authority(match[2])
    if host.port == 0 or (host.port or 0) > 65535:
        raise BadTarget(f"invalid port {host.port} in the target; use 1 to 65535")
    rest: bytes = match[3] or b"/"
    return AbsoluteTarget(
        match[1].decode("ascii").lower(), host, rest if rest.startswith(b"/") else b"/" + rest
    )


def _parse_authority(text: bytes) -> Host:
    try:
        host = parse_host_header(text)
    except BadRequest as failure:
        raise BadTarget(
            "the target must name a host with an optional port, without a user"
        ) from failure
    if ":" not in host.name and _NUMBER.fullmatch(host.name.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host.name)
        except ValueError:
            raise BadTarget(
                f"ambiguous IPv4 address {quoted(host.name)} in the target; write four "
                "decimal numbers, such as 192.0.2.1"
            ) from None
    return host


class ConnectDestination(Enum):
    """Where a CONNECT goes: to an API or a token URL, both served here, or to an external host."""

    API = 1
    TOKENS = 2
    EXTERNAL = 3


def connect_destination(
    host_port: HostPort, settings: Settings, constraints: NameConstraints
) -> ConnectDestination:
    """Where a CONNECT to a host goes.

    Args:
        constraints: of the authority that signs certificates for hosts served here.

    Raises:
        HostRefused: the settings do not allow it.
    """
    store = settings.store
    if is_endpoint(host_port, store):
        if not constraints.cover(host_port.name):
            raise HostRefused(
                f"the proxy's certificate authority may not sign for {quoted(host_port.name)}"
            )
        return ConnectDestination.API
    if host_port in TOKEN_HOSTS and constraints.cover(host_port.name):
        return ConnectDestination.TOKENS
    if is_endpoint_name(host_port.name, store):
        raise HostRefused(
            f"{quoted(str(host_port))} has an OVHcloud endpoint's host and another port; use the "
            "endpoint's own port"
        )
    if settings.intercept_others != "tunnel" or not settings.clients:
        raise HostRefused(
            f"{quoted(str(host_port))} is not an OVHcloud endpoint; to allow tunnels to other "
            "hosts, set `intercept_others: tunnel` and `clients`"
        )
    return ConnectDestination.EXTERNAL


def check_connect(headers: RequestHeaders, host_port: HostPort, *, is_http_1_0: bool) -> None:
    """Rejects a CONNECT that is ambiguous.

    Raises:
        BadRequest: it has a body, no Host, or a Host that differs from its target.
    """
    if headers.one(b"transfer-encoding") or headers.one(b"content-length") not in (None, b"0"):
        raise BadRequest("CONNECT must not have a body")
    host = headers.one(b"host")
    if host is None and is_http_1_0:  # Python's http.client before 3.12
        return
    if (name := parse_host_header(host).name) != host_port.name:
        raise BadRequest(
            f"Host {quoted(name)} differs from the CONNECT target {quoted(str(host_port))}"
        )


def admit_connect(
    headers: RequestHeaders,
    destination: ConnectDestination,
    entry_point: EntryPoint,
    settings: Settings,
) -> Client | None:
    """The client that sent a CONNECT; None without a token.

    The token may be missing if the connection is served here: each request in it needs a token.

    Raises:
        ProxyTokenRequired, ProxyTokenRefused: no token, or none that this listener accepts.
    """
    if not settings.clients:
        return None
    tokens = proxy_tokens(headers)
    client = client_of(tokens, entry_point.listener, settings.clients)
    if client is None and tokens:
        raise ProxyTokenRefused(NOT_ACCEPTED)
    if client is None and destination is ConnectDestination.EXTERNAL:
        raise ProxyTokenRequired(
            "a client token is required; send it as the password in the proxy's URL"
        )
    return client


def entry_point_inside(
    entry_point: EntryPoint, host_port: HostPort, headers: RequestHeaders
) -> EntryPoint:
    """The entry point of requests inside a CONNECT that is served here."""
    return replace(
        entry_point,
        scheme="https",
        address="",
        port=host_port.port or 0,
        host_port=host_port,
        tokens=tuple(proxy_tokens(headers)),
    )


def entry_point_of(
    target: AbsoluteTarget, headers: RequestHeaders, entry_point: EntryPoint, settings: Settings
) -> EntryPoint:
    """The entry point of a request with an absolute target.

    Raises:
        HostRefused: the target is not an endpoint.
    """
    if not is_endpoint(target.host_port, settings.store):
        raise HostRefused(
            f"{quoted(target.host.name)} is not an OVHcloud endpoint; this proxy forwards http:// "
            "to endpoints only, and other hosts need https:// (CONNECT)"
        )
    return replace(
        entry_point,
        scheme=target.scheme,
        address="",
        port=target.port,
        host_port=target.host_port,
        tokens=tuple(proxy_tokens(headers)),
    )
