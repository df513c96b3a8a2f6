"""Which clients are let in: Host, Origin and client token."""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field

from ovh_proxy.core.errors import (
    BadRequest,
    ClientTokenRefused,
    ClientTokenRequired,
    HostRefused,
    OriginRefused,
)
from ovh_proxy.core.settings import Client, InheritedAddress, Listener, Settings, UnixAddress
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import Host, HostPort, is_endpoint_name, parse_host_header


def client_of(
    shown: Iterable[bytes], listener: Listener, clients: tuple[Client, ...]
) -> Client | None:
    """The client whose token is among those shown, if it may use this listener; the last one's."""
    allowed = listener.clients
    client = None
    # Every token against every client, found or not: the time taken tells nothing.
    for token in shown:
        digest = hashlib.sha256(token).digest()
        for known in clients:
            is_its_own = hmac.compare_digest(digest, known.digest)
            if is_its_own and (not allowed or known.name in allowed):
                client = known
    return client


def shown_tokens(headers: RequestHeaders) -> list[bytes]:
    """Whatever may be a client token: X-Ovh-Application, Bearer, the password of Basic."""
    shown = [token for token in headers.all(b"x-ovh-application") if token]
    return shown + _credentials(headers.one(b"authorization"))


def proxy_tokens(headers: RequestHeaders) -> list[bytes]:
    """The same of what is said to a proxy alone: Bearer, the password of Basic."""
    return _credentials(headers.one(b"proxy-authorization"))


def _credentials(value: bytes | None) -> list[bytes]:
    scheme, _, rest = (value or b"").partition(b" ")
    if scheme.lower() == b"bearer" and rest.strip():
        return [rest.strip()]
    if scheme.lower() == b"basic":
        try:
            password = b64decode(rest.strip(), validate=True).partition(b":")[2]
        except ValueError:
            password = b""
        return [password] if password else []
    return []


_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


_SAME_SITE = frozenset({b"none", b"same-origin"})


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """The local end of a client's connection.

    Attributes:
        scheme: `http` or `https`.
        address: the IP address that the client reached, without brackets; empty on a unix socket.
        port: 0 on a unix socket.
        host_port: the endpoint that the client asked for with CONNECT; scheme, address and port
            are then those of the endpoint, and the Host header must name it too.
        tokens: that it showed then, and which count beside those of a request.
    """

    listener: Listener
    scheme: str
    address: str
    port: int
    host_port: HostPort | None = None
    tokens: tuple[bytes, ...] = field(default=(), repr=False)


def admit(headers: RequestHeaders, entry_point: EntryPoint, settings: Settings) -> Client | None:
    """The client that is let in; None where no clients are set up.

    Raises:
        BadRequest: no Host, or none that could be one.
        HostRefused, OriginRefused: a web page may be behind it.
        ClientTokenRequired, ClientTokenRefused: no token, or none that opens this listener.
    """
    host = parse_host_header(headers.one(b"host"))
    _admit_host(host, entry_point, settings)
    _admit_origin(headers, host, entry_point, settings)
    return _admit_token(headers, entry_point, settings) if settings.clients else None


def _admit_host(host: Host, entry_point: EntryPoint, settings: Settings) -> None:
    if entry_point.host_port is not None:
        if (host.name, _port_of(host, entry_point)) != (
            entry_point.host_port.name,
            entry_point.port,
        ):
            raise HostRefused("the Host is another than the one that was asked of the proxy")
        return
    # DNS rebinding: a page of evil.example whose name now points here still says evil.example.
    if isinstance(entry_point.listener.address, UnixAddress) or _is_inherited_unix(entry_point):
        return
    if _is_loopback(host.name):
        return
    if (
        host.name == entry_point.address
        or host.name in settings.hosts
        or _is_by_name(host, entry_point, settings)
    ):
        return
    raise HostRefused("this Host is not served here; name it under `hosts` in the settings")


def _is_loopback(name: str) -> bool:
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def asked_endpoint_host(
    headers: RequestHeaders, entry_point: EntryPoint, settings: Settings
) -> HostPort | None:
    """The endpoint's own host that an admitted request was made to; None where to the proxy's."""
    if entry_point.host_port is not None or entry_point.scheme != "https":
        return entry_point.host_port
    host = parse_host_header(headers.one(b"host"))
    if _is_loopback(host.name) or host.name == entry_point.address:
        return None
    return HostPort(host.name, None) if _is_by_name(host, entry_point, settings) else None


def _is_by_name(host: Host, entry_point: EntryPoint, settings: Settings) -> bool:
    # A hosts file or a network's DNS leads an endpoint's name here. The certificate keeps web pages
    # out: no page has the name of an endpoint, and none can make a browser take one for another.
    return entry_point.scheme == "https" and is_endpoint_name(host.name, settings.store)


def _is_inherited_unix(entry_point: EntryPoint) -> bool:
    return isinstance(entry_point.listener.address, InheritedAddress) and not entry_point.address


def _admit_origin(
    headers: RequestHeaders, host: Host, entry_point: EntryPoint, settings: Settings
) -> None:
    origin = headers.one(b"origin")
    if host.name.endswith(".localhost"):
        # A browser may resolve *.localhost by DNS, so that no origin proves anything there.
        if origin is not None or any(name.startswith(b"sec-fetch-") for name in headers.names()):
            raise OriginRefused("no web page is served on a .localhost name")
    elif origin is not None and origin.decode("latin-1").lower() in settings.origins:
        return
    elif origin is not None and not _is_own_origin(origin, host, entry_point):
        raise OriginRefused("this Origin is not let in; name it under `origins` in the settings")
    elif not all(host_port in _SAME_SITE for host_port in headers.all(b"sec-fetch-site")):
        raise OriginRefused("a request that another site's page makes is not let in")


def _is_own_origin(origin: bytes, host: Host, entry_point: EntryPoint) -> bool:
    scheme, _, authority = origin.partition(b"://")
    try:
        own = parse_host_header(authority)
    except BadRequest:  # `null`, say
        return False
    same_port = _port_of(own, entry_point) == _port_of(host, entry_point) == entry_point.port
    return scheme.decode("latin-1") == entry_point.scheme and same_port and own.name == host.name


def _port_of(host: Host, entry_point: EntryPoint) -> int:
    return host.port or (443 if entry_point.scheme == "https" else 80)


def _admit_token(headers: RequestHeaders, entry_point: EntryPoint, settings: Settings) -> Client:
    shown = [*entry_point.tokens, *shown_tokens(headers)]  # the last that is good counts
    client = client_of(shown, entry_point.listener, settings.clients)
    if client is not None:
        return client
    if not shown:
        raise ClientTokenRequired("show a client token: Authorization: Bearer TOKEN")
    raise ClientTokenRefused("this client token does not open this listener")
