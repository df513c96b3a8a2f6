"""Which local callers are let in: Host, Origin and client token."""

from dataclasses import dataclass, field

from ovh_proxy.core.client_token import client_of, shown_tokens
from ovh_proxy.core.errors import (
    BadRequest,
    ClientTokenRefused,
    ClientTokenRequired,
    HostRefused,
    OriginRefused,
)
from ovh_proxy.core.headers import RequestHeaders
from ovh_proxy.core.settings import Client, InheritedAddress, Listener, Settings, UnixAddress
from ovh_proxy.core.site import Host, HostPort, is_endpoint_name, parse_host_header

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_SAME_SITE = frozenset({b"none", b"same-origin"})


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """The local end of a client's connection.

    Attributes:
        scheme: `http` or `https`.
        address: the IP address that the client reached, without brackets; empty on a unix socket.
        port: 0 on a unix socket.
        site: the endpoint that the client asked for, as of a proxy; scheme, address and port are
            then those by which it named the endpoint, and its Host has to be the same.
        tokens: that it showed then, and which count beside those of a request.
    """

    listener: Listener
    scheme: str
    address: str
    port: int
    site: HostPort | None = None
    tokens: tuple[bytes, ...] = field(default=(), repr=False)


def admit(headers: RequestHeaders, door: EntryPoint, settings: Settings) -> Client | None:
    """The client that is let in; None where no clients are set up.

    Raises:
        BadRequest: no Host, or none that could be one.
        HostRefused, OriginRefused: a web page may be behind it.
        ClientTokenRequired, ClientTokenRefused: no token, or none that opens this listener.
    """
    host = parse_host_header(headers.one(b"host"))
    _admit_host(host, door, settings)
    _admit_origin(headers, host, door, settings)
    return _admit_token(headers, door, settings) if settings.clients else None


def _admit_host(host: Host, door: EntryPoint, settings: Settings) -> None:
    if door.site is not None:
        if (host.name, _port_of(host, door)) != (door.site.name, door.port):
            raise HostRefused("the Host is another than the one that was asked of the proxy")
        return
    # DNS rebinding: a page of evil.example whose name now points here still says evil.example.
    if isinstance(door.listener.address, UnixAddress) or _is_inherited_unix(door):
        return
    if _is_loopback(host.name):
        return
    if (
        host.name == door.address
        or host.name in settings.hosts
        or _is_by_name(host, door, settings)
    ):
        return
    raise HostRefused("this Host is not served here; name it under `hosts` in the settings")


def _is_loopback(name: str) -> bool:
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def asked_endpoint_host(
    headers: RequestHeaders, door: EntryPoint, settings: Settings
) -> HostPort | None:
    """The endpoint's own host that an admitted request was made to; None where to the proxy's."""
    if door.site is not None or door.scheme != "https":
        return door.site
    host = parse_host_header(headers.one(b"host"))
    if _is_loopback(host.name) or host.name == door.address:
        return None
    return HostPort(host.name, None) if _is_by_name(host, door, settings) else None


def _is_by_name(host: Host, door: EntryPoint, settings: Settings) -> bool:
    # A hosts file or a network's DNS leads an endpoint's name here. The certificate keeps web pages
    # out: no page has the name of an endpoint, and none can make a browser take one for another.
    return door.scheme == "https" and is_endpoint_name(host.name, settings.store)


def _is_inherited_unix(door: EntryPoint) -> bool:
    return isinstance(door.listener.address, InheritedAddress) and not door.address


def _admit_origin(
    headers: RequestHeaders, host: Host, door: EntryPoint, settings: Settings
) -> None:
    origin = headers.one(b"origin")
    if host.name.endswith(".localhost"):
        # A browser may resolve *.localhost by DNS, so that no origin proves anything there.
        if origin is not None or any(name.startswith(b"sec-fetch-") for name in headers.names()):
            raise OriginRefused("no web page is served on a .localhost name")
    elif origin is not None and origin.decode("latin-1").lower() in settings.origins:
        return
    elif origin is not None and not _is_own_origin(origin, host, door):
        raise OriginRefused("this Origin is not let in; name it under `origins` in the settings")
    elif not all(site in _SAME_SITE for site in headers.all(b"sec-fetch-site")):
        raise OriginRefused("a request that another site's page makes is not let in")


def _is_own_origin(origin: bytes, host: Host, door: EntryPoint) -> bool:
    scheme, _, authority = origin.partition(b"://")
    try:
        own = parse_host_header(authority)
    except BadRequest:  # `null`, say
        return False
    same_port = _port_of(own, door) == _port_of(host, door) == door.port
    return scheme.decode("latin-1") == door.scheme and same_port and own.name == host.name


def _port_of(host: Host, door: EntryPoint) -> int:
    return host.port or (443 if door.scheme == "https" else 80)


def _admit_token(headers: RequestHeaders, door: EntryPoint, settings: Settings) -> Client:
    shown = [*door.tokens, *shown_tokens(headers)]  # the last that is good counts
    client = client_of(shown, door.listener, settings.clients)
    if client is not None:
        return client
    if not shown:
        raise ClientTokenRequired("show a client token: Authorization: Bearer TOKEN")
    raise ClientTokenRefused("this client token does not open this listener")
