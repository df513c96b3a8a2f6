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
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.policy.client_auth import EntryPoint, client_of, proxy_tokens
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

# What resolvers take for an IPv4 address in an old spelling (`127.1`, `0x7f000001`), or may.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class AbsoluteTarget:
    """A target in absolute form.

    Attributes:
        scheme, host: as it names them; origin_form: the rest of it, as written.
    """

    scheme: str
    host: Host
    origin_form: bytes

    @property
    def port(self) -> int:
        return self.host.port or (443 if self.scheme == "https" else 80)

    @property
    def host_port(self) -> HostPort:
        """Where it leads: an endpoint is asked over TLS, in clear or not as the client may ask."""
        is_default = self.host.port in (None, 443 if self.scheme == "https" else 80)
        return HostPort(self.host.name, 443 if is_default else self.port)


def parse_connect(target: bytes) -> HostPort:
    """The target of CONNECT, which is a host and a port (RFC 9112 section 3.2.3).

    Raises:
        BadTarget: it is something else.
    """
    host = _parse_authority(target)
    if not host.port or host.port > 65535:
        raise BadTarget("the target of CONNECT is HOST:PORT")
    return HostPort(host.name, host.port)


def parse_absolute(target: bytes) -> AbsoluteTarget:
    """A target in absolute form (RFC 9112 section 3.2.2).

    Raises:
        BadTarget: it has none, or no one reading.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadTarget("the target is neither a path nor an http:// or https:// URL")
    host = _parse_authority(match[2])
    if host.port == 0 or (host.port or 0) > 65535:
        raise BadTarget("the port in the target is none")
    rest: bytes = match[3] or b"/"
    return AbsoluteTarget(
        match[1].decode("ascii").lower(), host, rest if rest.startswith(b"/") else b"/" + rest
    )


def _parse_authority(text: bytes) -> Host:
    try:
        host = parse_host_header(text)
    except BadRequest as failure:
        raise BadTarget("the target names no host with a port: no user, no path") from failure
    if ":" not in host.name and _NUMBER.fullmatch(host.name.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host.name)
        except ValueError:
            raise BadTarget("the host in the target is a number in no usual spelling") from None
    return host


class ConnectDestination(Enum):
    """Where CONNECT leads: to an API or to a token URL, which both end here, or away."""

    API = 1
    TOKENS = 2
    EXTERNAL = 3


def connect_destination(
    host_port: HostPort, settings: Settings, constraints: NameConstraints
) -> ConnectDestination:
    """What CONNECT to a site is for.

    Args:
        constraints: of the authority that signs for those that end here.

    Raises:
        HostRefused: nothing that is done here.
    """
    store = settings.store
    if is_endpoint(host_port, store):
        if not constraints.cover(host_port.name):
            raise HostRefused("our certificate authority may not vouch for this endpoint's host")
        return ConnectDestination.API
    if host_port in TOKEN_HOSTS and constraints.cover(host_port.name):
        return ConnectDestination.TOKENS
    if is_endpoint_name(host_port.name, store):
        raise HostRefused("this is an endpoint's host, which is served at its own port alone")
    if settings.intercept_others != "tunnel" or not settings.clients:
        raise HostRefused(
            "this proxy is for OVHcloud's hosts; it leads elsewhere with intercept_others: tunnel"
        )
    return ConnectDestination.EXTERNAL


def check_connect(headers: RequestHeaders, host_port: HostPort, *, is_http_1_0: bool) -> None:
    """Lets CONNECT pass that says one thing.

    Raises:
        BadRequest: it has a body, no Host, or that of another target.
    """
    if headers.one(b"transfer-encoding") or headers.one(b"content-length") not in (None, b"0"):
        raise BadRequest("CONNECT has no body")
    named = headers.one(b"host")
    if named is None and is_http_1_0:  # as Python's http.client has it before 3.12
        return
    if parse_host_header(named).name != host_port.name:
        raise BadRequest("the Host of CONNECT is another than its target")


def admit_connect(
    headers: RequestHeaders,
    destination: ConnectDestination,
    entry_point: EntryPoint,
    settings: Settings,
) -> Client | None:
    """The client that may have its connection; None where none has shown a token.

    A token may be missing where the connection ends here: the requests in it are asked for theirs.

    Raises:
        ProxyTokenRequired, ProxyTokenRefused: no token, or none that opens this listener.
    """
    if not settings.clients:
        return None
    shown = proxy_tokens(headers)
    client = client_of(shown, entry_point.listener, settings.clients)
    if client is None and shown:
        raise ProxyTokenRefused("this client token does not open this listener")
    if client is None and destination is ConnectDestination.EXTERNAL:
        raise ProxyTokenRequired("show a client token: as the password in the proxy's URL")
    return client


def entry_point_inside(
    entry_point: EntryPoint, host_port: HostPort, headers: RequestHeaders
) -> EntryPoint:
    """The door of the requests that come within a connection to a site."""
    inside = replace(
        entry_point, scheme="https", address="", port=host_port.port or 0, host_port=host_port
    )
    return replace(inside, tokens=tuple(proxy_tokens(headers)))


def entry_point_of(
    asked: AbsoluteTarget, headers: RequestHeaders, entry_point: EntryPoint, settings: Settings
) -> EntryPoint:
    """The door of a request whose target is in absolute form.

    Raises:
        HostRefused: it leads to no endpoint.
    """
    if not is_endpoint(asked.host_port, settings.store):
        raise HostRefused(
            "http:// is for OVHcloud's hosts here; ask for others by https://, which CONNECT is for"
        )
    inside = replace(
        entry_point, scheme=asked.scheme, address="", port=asked.port, host_port=asked.host_port
    )
    return replace(inside, tokens=tuple(proxy_tokens(headers)))
