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
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import Client, InheritedAddress, Listener, Settings, UnixAddress
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import Host, HostPort, is_endpoint_name, parse_host_header


def client_of(
    tokens: Iterable[bytes], listener: Listener, clients: tuple[Client, ...]
) -> Client | None:
    """The client that one of the tokens belongs to and that may use this listener.

    If several tokens are valid, the last one counts.
    """
    allowed = listener.clients
    found = None
    # Compares every token with every client, so that the duration reveals nothing.
    for token in tokens:
        digest = hashlib.sha256(token).digest()
        for client in clients:
            is_equal = hmac.compare_digest(digest, client.digest)
            if is_equal and (not allowed or client.name in allowed):
                found = client
    return found


def shown_tokens(headers: RequestHeaders) -> list[bytes]:
    """Possible client tokens of a request: X-Ovh-Application, Bearer, the password of Basic."""
    tokens = [token for token in headers.all(b"x-ovh-application") if token]
    return tokens + _credentials(headers.one(b"authorization"))


def proxy_tokens(headers: RequestHeaders) -> list[bytes]:
    """Possible client tokens in Proxy-Authorization: Bearer, the password of Basic."""
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


NOT_ACCEPTED = "the client token is unknown or not accepted on this listener"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAME_SITE = frozenset({b"none", b"same-origin"})


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """The local end of a client's connection.

    Attributes:
        scheme: `http` or `https`.
        address: the local IP address of the connection, without brackets; empty on a unix socket.
        port: 0 on a unix socket.
        host_port: the endpoint that the client named in CONNECT or in an absolute target. Scheme
            and port are then those of the endpoint, and the Host header must name it too.
        tokens: client tokens from Proxy-Authorization; they count in addition to the request's.
    """

    listener: Listener
    scheme: str
    address: str
    port: int
    host_port: HostPort | None = None
    tokens: tuple[bytes, ...] = field(default=(), repr=False)


def admit(headers: RequestHeaders, entry_point: EntryPoint, settings: Settings) -> Client | None:
    """The client that sent the request; None if no clients are configured.

    Raises:
        BadRequest: the Host header is missing or malformed.
        HostRefused, OriginRefused: a web page may have sent the request.
        ClientTokenRequired, ClientTokenRefused: no token, or none that this listener accepts.
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
            raise HostRefused(
                f"Host {quoted(str(HostPort(host.name, host.port)))} differs from "
                f"{HostPort(entry_point.host_port.name, entry_point.port)}, which the client asked "
                "this proxy for"
            )
        return
    # DNS rebinding: a page from evil.example whose name now resolves to this machine still sends
    # evil.example as its Host.
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
    raise HostRefused(
        f"Host {quoted(host.name)} is not served here; add it to `hosts` in the settings"
    )


def _is_loopback(name: str) -> bool:
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def asked_endpoint_host(
    headers: RequestHeaders, entry_point: EntryPoint, settings: Settings
) -> HostPort | None:
    """The endpoint host that an admitted request names; None if it names the proxy itself."""
    if entry_point.host_port is not None or entry_point.scheme != "https":
        return entry_point.host_port
    host = parse_host_header(headers.one(b"host"))
    if _is_loopback(host.name) or host.name == entry_point.address:
        return None
    return HostPort(host.name, None) if _is_by_name(host, entry_point, settings) else None


def _is_by_name(host: Host, entry_point: EntryPoint, settings: Settings) -> bool:
    # A hosts file or the network's DNS can point an endpoint's name to this proxy. The certificate
    # keeps web pages out: no page comes from an endpoint's name, and none can fake that origin.
    return entry_point.scheme == "https" and is_endpoint_name(host.name, settings.store)


def _is_inherited_unix(entry_point: EntryPoint) -> bool:
    return isinstance(entry_point.listener.address, InheritedAddress) and not entry_point.address


def _admit_origin(
    headers: RequestHeaders, host: Host, entry_point: EntryPoint, settings: Settings
) -> None:
    origin = headers.one(b"origin")
    if host.name.endswith(".localhost"):
        # A browser may resolve *.localhost by DNS, so no origin is trustworthy there.
        if origin is not None or any(name.startswith(b"sec-fetch-") for name in headers.names()):
            raise OriginRefused(
                f"web pages may not use Host {quoted(host.name)}: no .localhost name is served to "
                "browsers; use localhost or 127.0.0.1"
            )
    elif origin is not None and origin.decode("latin-1").lower() in settings.origins:
        return
    elif origin is not None and not _is_own_origin(origin, host, entry_point):
        raise OriginRefused(
            f"Origin {quoted(origin.decode('latin-1'))} is not allowed; add it to `origins` in the "
            "settings"
        )
    elif not all(site in _SAME_SITE for site in headers.all(b"sec-fetch-site")):
        raise OriginRefused("requests from web pages of another site are not allowed")


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
    tokens = [*entry_point.tokens, *shown_tokens(headers)]  # the last valid one counts
    client = client_of(tokens, entry_point.listener, settings.clients)
    if client is not None:
        return client
    if not tokens:
        raise ClientTokenRequired("a client token is required; send Authorization: Bearer TOKEN")
    raise ClientTokenRefused(NOT_ACCEPTED)
