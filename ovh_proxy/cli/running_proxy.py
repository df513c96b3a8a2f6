"""A proxy that runs somewhere: where it is, and what it answers there."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import click

from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import Address, TcpAddress, UnixAddress

F = TypeVar("F", bound=Callable[..., Any])
WAIT_S = 3.0
# 401 means that it listens and requires a client token, which a health check does not have.
ALIVE = (200, 401)
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Response:
    """A status and the beginning of the body."""

    status: int
    body: bytes


def url_option(command: F) -> F:
    """`--url`, which overrides the addresses of the settings."""
    return click.option(
        "--url",
        metavar="URL",
        envvar="OVH_PROXY_URL",
        show_envvar=True,
        help="URL of the running proxy.",
    )(command)


def find(url: str | None, flags: dict[str, Any]) -> tuple[Address, bool]:
    """The address of the proxy, and whether it speaks TLS.

    Args:
        url: by default, the admin listener of the settings, or their first listener.

    Raises:
        UsageError: the URL is invalid.
        ConfigurationError: the settings have problems.
    """
    return parse_proxy_url(url) if url else _from_settings(flags)


def parse_proxy_url(url: str) -> tuple[Address, bool]:
    """The address in a URL, and whether its scheme is https.

    Raises:
        UsageError: it is not a URL of a proxy.
    """
    if url.startswith("unix:"):
        return UnixAddress(url.removeprefix("unix:")), False
    # Without the part before @, which may be a password.
    problem = (
        f"--url: invalid URL {quoted(url.rpartition('@')[2])}; "
        "use http://HOST:PORT, https://HOST:PORT or unix:/path"
    )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as failure:
        raise UsageError(problem) from failure
    if parts.scheme not in ("http", "https") or host is None:
        raise UsageError(problem)
    is_tls = parts.scheme == "https"
    return TcpAddress(host, port or (443 if is_tls else 80)), is_tls


def _from_settings(flags: dict[str, Any]) -> tuple[Address, bool]:
    # Imported here: not needed with --url.
    from ovh_proxy.config.server_settings import load_listeners
    from ovh_proxy.config.sources import Sources

    listen, admin_listen = load_listeners(Sources(**flags))
    if admin_listen is not None:
        return admin_listen, False
    return listen[0].address, listen[0].tls is not None


def ask(
    address: Address, is_tls: bool, path: str, wait_s: float = WAIT_S, token: str | None = None
) -> Response:
    """The response to a GET.

    Args:
        token: a client token.

    Raises:
        CommandFailed: no proxy responds.
    """
    # No HTTP library: health checks run every few seconds, and importing one is slower than this.
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n"
    try:
        with _connect(address, is_tls, wait_s) as connection:
            connection.sendall(request.encode("ascii"))
            stream = connection.makefile("rb")
            line = stream.readline(256)
            version, _, rest = line.partition(b" ")
            if version.startswith(b"HTTP/1.") and rest[:3].isdigit():
                return Response(int(rest[:3]), _body(stream))
    except OSError as failure:
        raise CommandFailed(f"no proxy responds at {address}") from failure
    raise CommandFailed(f"the server at {address} is not a proxy")


def _body(stream: BinaryIO) -> bytes:
    try:
        return (b"\r\n" + stream.read(_MAX_BYTES)).partition(b"\r\n\r\n")[2]
    except OSError:  # only the status is required
        return b""


def _connect(address: Address, is_tls: bool, wait_s: float) -> socket.socket:
    if isinstance(address, UnixAddress):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(wait_s)
        is_abstract = address.path.startswith("@")
        connection.connect("\0" + address.path[1:] if is_abstract else address.path)
        return connection
    if not isinstance(address, TcpAddress):
        raise UsageError(f"cannot connect to the inherited listener {address}; use --url")
    plain = socket.create_connection((address.connect_host, address.port), wait_s)
    if not is_tls:
        return plain
    # Imported here: it loads OpenSSL, and few proxies listen with TLS.
    import ssl

    # This only tests whether the proxy is alive; clients verify the certificate.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
