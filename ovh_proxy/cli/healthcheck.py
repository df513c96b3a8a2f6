"""`ovh-proxy healthcheck`: exit code only, for images without a shell."""

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.options import listen_options, store_options
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.settings import Address, TcpAddress, UnixAddress

_WAIT_S = 3.0
# Our own 401: it listens, and asks for a token that a health check does not have.
_ALIVE = (b"200", b"401")


@click.command("healthcheck")
@store_options
@listen_options
@click.option(
    "--url", metavar="URL", envvar="OVH_PROXY_URL", show_envvar=True, help="Where the proxy is."
)
def command(url: str | None, **flags: Any) -> None:
    """Exit with 0 when a running proxy is alive, with 1 when not.

    Asks --url, else the admin listener of the settings, else their first listener.
    """
    address, is_tls = _parse_url(url) if url else _from_settings(flags)
    status = _ask(address, "/-/healthz", is_tls)
    if status not in _ALIVE:
        raise CommandFailed(f"the proxy at {address} answers {status.decode('ascii', 'replace')}")


def _parse_url(url: str) -> tuple[Address, bool]:
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
    from ovh_proxy.store.live import Sources, load_listeners

    listen, admin_listen = load_listeners(Sources(**flags))
    if admin_listen is not None:
        return admin_listen, False
    return listen[0].address, listen[0].tls is not None


def _ask(address: Address, path: str, is_tls: bool) -> bytes:
    # No HTTP library: this runs every few seconds, and importing one takes longer than all of it.
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with _connect(address, is_tls) as connection:
            connection.sendall(request.encode("ascii"))
            line = connection.makefile("rb").readline(256)
    except OSError as failure:
        raise CommandFailed(f"no proxy answers at {address}") from failure
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise CommandFailed(f"what answers at {address} is no proxy")
    return rest[:3]


def _connect(address: Address, is_tls: bool) -> socket.socket:
    if isinstance(address, UnixAddress):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_WAIT_S)
        connection.connect(address.path.replace("@", "\0", 1))
        return connection
    if not isinstance(address, TcpAddress):
        raise UsageError("an inherited listener has no address; say --url")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    plain = socket.create_connection((host, address.port), _WAIT_S)
    if not is_tls:
        return plain
    # Alive is all that is asked; the certificate is for the clients to judge.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
