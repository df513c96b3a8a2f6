"""A proxy that runs somewhere: where it is, and what it answers there."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import click

from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.settings import Address, TcpAddress, UnixAddress

F = TypeVar("F", bound=Callable[..., Any])

WAIT_S = 3.0
# Our own 401: it listens, and asks for a token that a health check does not have.
ALIVE = (200, 401)
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the body as far as it is of interest."""

    status: int
    body: bytes


def url_option(command: F) -> F:
    """`--url`, in the place of what the settings say."""
    return click.option(
        "--url", metavar="URL", envvar="OVH_PROXY_URL", show_envvar=True, help="Where the proxy is."
    )(command)


def find(url: str | None, flags: dict[str, Any]) -> tuple[Address, bool]:
    """Where it is, and whether it speaks TLS there.

    Args:
        url: wins; else the admin listener of the settings, else their first listener.

    Raises:
        UsageError, ConfigurationError: that says nothing of the kind.
    """
    return parse_proxy_url(url) if url else _from_settings(flags)


def parse_proxy_url(url: str) -> tuple[Address, bool]:
    """The address of a URL, and whether TLS is spoken there.

    Raises:
        UsageError: it is none of a proxy.
    """
    if url.startswith("unix:"):
        return UnixAddress(url.removeprefix("unix:")), False
    told = "--url is http://HOST:PORT, https://HOST:PORT or unix:/path"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as failure:
        raise UsageError(told) from failure
    if parts.scheme not in ("http", "https") or host is None:
        raise UsageError(told)
    is_tls = parts.scheme == "https"
    return TcpAddress(host, port or (443 if is_tls else 80)), is_tls


def _from_settings(flags: dict[str, Any]) -> tuple[Address, bool]:
    # Imported here: --url needs none of it.
    from ovh_proxy.config.server_settings import load_listeners
    from ovh_proxy.config.sources import Sources

    listen, admin_listen = load_listeners(Sources(**flags))
    if admin_listen is not None:
        return admin_listen, False
    return listen[0].address, listen[0].tls is not None


def ask(
    address: Address, is_tls: bool, path: str, wait_s: float = WAIT_S, token: str | None = None
) -> Answer:
    """The answer to a GET.

    Args:
        token: of a client.

    Raises:
        CommandFailed: there is none.
    """
    # No HTTP library: this runs every few seconds, and importing one takes longer than all of it.
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{shown}Connection: close\r\n\r\n"
    try:
        with _connect(address, is_tls, wait_s) as connection:
            connection.sendall(request.encode("ascii"))
            stream = connection.makefile("rb")
            line = stream.readline(256)
            version, _, rest = line.partition(b" ")
            if version.startswith(b"HTTP/1.") and rest[:3].isdigit():
                return Answer(int(rest[:3]), _body(stream))
    except OSError as failure:
        raise CommandFailed(f"no proxy answers at {address}") from failure
    raise CommandFailed(f"what answers at {address} is no proxy")


def _body(stream: BinaryIO) -> bytes:
    try:
        return (b"\r\n" + stream.read(_MAX_BYTES)).partition(b"\r\n\r\n")[2]
    except OSError:  # the status is what counts
        return b""


def _connect(address: Address, is_tls: bool, wait_s: float) -> socket.socket:
    if isinstance(address, UnixAddress):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(wait_s)
        is_abstract = address.path.startswith("@")
        connection.connect("\0" + address.path[1:] if is_abstract else address.path)
        return connection
    if not isinstance(address, TcpAddress):
        raise UsageError("an inherited listener has no address; say --url")
    plain = socket.create_connection((address.connect_host, address.port), wait_s)
    if not is_tls:
        return plain
    # Imported here: it loads OpenSSL, which few proxies are asked through.
    import ssl

    # Alive is all that is asked; the certificate is for the clients to judge.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
