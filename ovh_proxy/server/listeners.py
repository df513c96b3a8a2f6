"""TCP, unix, TLS and inherited sockets."""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Address, InheritedAddress, TcpAddress, UnixAddress

# Precedent: nginx and Go take what the system allows; Linux cuts it at net.core.somaxconn.
_BACKLOG = 4096


@dataclass(slots=True)
class OpenListener:
    """A listener that accepts.

    Attributes:
        url: how it is reached, with the port that the system chose.
    """

    url: str
    server: asyncio.Server
    socket_file: str | None = None

    def close(self) -> None:
        """Accepts no more; connections that stand go on."""
        self.server.close()
        if self.socket_file is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.socket_file)


async def open_listener(
    address: Address, mode: int, protocol: Callable[[], asyncio.Protocol]
) -> OpenListener:
    """Listens at an address.

    Raises:
        ListenFailed: it cannot be bound; the text names the address.
    """
    loop = asyncio.get_running_loop()
    try:
        match address:
            case TcpAddress():
                sockets = await _tcp_sockets(address)
                server = await _serve_all(loop, protocol, sockets)
                return OpenListener(f"http://{_bound(address, sockets[0])}", server)
            case UnixAddress():
                bound = _unix_socket(address, mode)
                server = await loop.create_unix_server(protocol, sock=bound, backlog=_BACKLOG)
                file = None if address.path.startswith("@") else address.path
                return OpenListener(str(address), server, file)
            case InheritedAddress():
                inherited = _inherited_socket(address)
                server = await loop.create_server(protocol, sock=inherited, backlog=_BACKLOG)
                return OpenListener(str(address), server)
    except OSError as failure:
        raise ListenFailed(f"cannot listen on {address}: {_why(failure)}") from failure


async def _serve_all(
    loop: asyncio.AbstractEventLoop,
    protocol: Callable[[], asyncio.Protocol],
    sockets: list[socket.socket],
) -> asyncio.Server:
    server = await loop.create_server(protocol, sock=sockets[0], backlog=_BACKLOG)
    for extra in sockets[1:]:
        extra.listen(_BACKLOG)
        # One asyncio.Server may hold several sockets, but takes only one ready-made.
        other = await loop.create_server(protocol, sock=extra, backlog=_BACKLOG)
        _close_together(server, other)
    return server


def _close_together(server: asyncio.Server, other: asyncio.Server) -> None:
    close = server.close

    def both() -> None:
        close()
        other.close()

    server.close = both  # type: ignore[method-assign] # a pair that is closed as one


async def _tcp_sockets(address: TcpAddress) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            if sys.platform != "win32":  # there it would let two programs share the port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((where[0], port, *where[2:]))
            port = bound.getsockname()[1]
            bound.setblocking(False)
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bound(address: TcpAddress, bound: socket.socket) -> TcpAddress:
    return TcpAddress(address.host, bound.getsockname()[1])


def _unix_socket(address: UnixAddress, mode: int) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ListenFailed("this system has no unix sockets; listen on TCP loopback")
    is_abstract = address.path.startswith("@")
    if is_abstract and sys.platform != "linux":
        raise ListenFailed("abstract socket names exist on Linux only; use unix:/path")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_abstract:
            bound.bind("\0" + address.path[1:])
        else:
            _remove_stale(address.path)
            _bind_with_mode(bound, address.path, mode)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_with_mode(bound: socket.socket, path: str, mode: int) -> None:
    # Bound but not listening yet, nobody can connect; and no moment has wider permissions.
    before = os.umask(0o777 & ~mode)
    try:
        bound.bind(path)
    finally:
        os.umask(before)
    os.chmod(path, mode)


def _remove_stale(path: str) -> None:
    """Removes a socket file that a dead process left behind.

    Raises:
        ListenFailed: something lives there, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ListenFailed(f"cannot listen on unix:{path}: a file is there that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as failure:
            raise ListenFailed(f"cannot listen on unix:{path}: {_why(failure)}") from failure
    raise ListenFailed(f"cannot listen on unix:{path}: another process listens there")


def _inherited_socket(address: InheritedAddress) -> socket.socket:
    inherited = socket.socket(fileno=os.dup(address.descriptor))
    inherited.setblocking(False)
    return inherited


_REASONS = {
    errno.EADDRINUSE: "another program listens there; choose another port, or stop it",
    errno.EACCES: "not permitted; ports below 1024 and foreign directories need privileges",
    errno.EADDRNOTAVAIL: "no such address on this machine",
    errno.ENOENT: "its directory does not exist",
    errno.EBADF: "no such descriptor was inherited",
    errno.ENOTSOCK: "the descriptor is no socket",
}


def _why(failure: OSError) -> str:
    if isinstance(failure, socket.gaierror):
        return "the host name does not resolve"
    known = _REASONS.get(failure.errno or 0)
    return known or (os.strerror(failure.errno) if failure.errno else "it failed")
