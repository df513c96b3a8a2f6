"""Sockets that are bound: TCP, unix and inherited; who is at the other end of a unix socket."""

import errno
import os
import socket
import stat
import struct
import sys

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import InheritedAddress, Listener, TcpAddress, UnixAddress

# struct ucred of unix(7): process, user and group, three ints.
_UCRED = struct.Struct("3i")


def has_peer_credentials() -> bool:
    """Whether the system provides the user ID of a unix socket's client."""
    return hasattr(socket, "SO_PEERCRED")


def peer_uid(connection: socket.socket) -> int | None:
    """Returns the user ID of the process that connected; None if the system does not provide it.

    Source: unix(7), SO_PEERCRED: the credentials at the time of connect(2), which the peer cannot
    change afterwards.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connection.family != getattr(socket, "AF_UNIX", None):
        return None
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


# Received data that is not read yet counts towards no limit: the system's default is several
# megabytes for each client that sends faster than the proxy reads.
_RECEIVED_BYTES = 65_536


def bind(listener: Listener) -> list[socket.socket]:
    """Returns the bound sockets of a listener; a host name may have several addresses.

    Raises:
        ListenFailed: they cannot be bound; the text names the address.
    """
    try:
        match listener.address:
            case TcpAddress() as address:
                return _tcp_sockets(address)
            case UnixAddress() as address:
                return [_unix_socket(address, listener)]
            case InheritedAddress() as address:
                return [_inherited_socket(address)]
    except OSError as failure:
        raise ListenFailed(
            f"cannot listen on {listener.address}: {reason_of(failure)}"
        ) from failure


def _tcp_sockets(address: TcpAddress) -> list[socket.socket]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            if sys.platform != "win32":  # there, two programs could share the port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _tune(bound)
            bound.bind((where[0], port, *where[2:]))
            port = bound.getsockname()[1]
            bound.setblocking(False)
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _tune(bound: socket.socket) -> None:
    # Accepted sockets inherit these options.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_BYTES)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _unix_socket(address: UnixAddress, listener: Listener) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ListenFailed("this system has no unix sockets; listen on TCP loopback")
    is_abstract = address.path.startswith("@")
    if is_abstract and sys.platform != "linux":
        raise ListenFailed("abstract socket names exist on Linux only; use unix:/path")
    owner = _owner(listener)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_abstract:
            bound.bind("\0" + address.path[1:])
        else:
            _remove_stale(address.path)
            _bind_as(bound, address.path, listener.mode, owner)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_as(bound: socket.socket, path: str, mode: int, owner: tuple[int, int]) -> None:
    # No client can connect before it listens, and its permissions are never wider than `mode`.
    previous = os.umask(0o777)
    try:
        bound.bind(path)
    finally:
        os.umask(previous)
    try:
        if owner != (-1, -1):
            os.chown(path, *owner)
        os.chmod(path, mode)
    except OSError:
        os.unlink(path)
        raise


def _owner(listener: Listener) -> tuple[int, int]:
    """Returns user ID and group ID; -1 leaves them unchanged."""
    return _id_of(listener, "owner"), _id_of(listener, "group")


def _id_of(listener: Listener, key: str) -> int:
    name = listener.owner if key == "owner" else listener.group
    if name is None:
        return -1
    import grp
    import pwd

    try:
        # chown(2) takes the highest 32-bit number as "unchanged"; no user has it.
        if name.isdecimal() and int(name) < 2**32 - 1:
            return int(name)
        return pwd.getpwnam(name).pw_uid if key == "owner" else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ListenFailed(
            f"cannot listen on {listener.address}: unknown {key} '{name}' on this system"
        ) from None


def _remove_stale(path: str) -> None:
    """Removes a socket file that a process has left behind.

    Raises:
        ListenFailed: a process listens on it, or the file is not a socket.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ListenFailed(f"cannot listen on unix:{path}: the file exists and is not a socket")
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
            raise ListenFailed(f"cannot listen on unix:{path}: {reason_of(failure)}") from failure
    raise ListenFailed(f"cannot listen on unix:{path}: another process is listening on it")


def _inherited_socket(address: InheritedAddress) -> socket.socket:
    inherited = socket.socket(fileno=os.dup(address.descriptor))
    if inherited.type != socket.SOCK_STREAM:
        inherited.close()
        raise ListenFailed(f"cannot listen on {address}: it is not a stream socket")
    if inherited.family != getattr(socket, "AF_UNIX", None):
        _tune(inherited)
    inherited.setblocking(False)
    return inherited


_REASONS = {
    errno.EADDRINUSE: "another program is using it; choose another port, or stop that program",
    errno.EACCES: "permission denied; ports below 1024 and directories of others need privileges",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.ENOENT: "the directory does not exist",
    errno.EBADF: "no such file descriptor was inherited",
    errno.ENOTSOCK: "the file descriptor is not a socket",
    errno.EINVAL: "the socket is connected; a listening socket is needed",
}


def reason_of(failure: OSError) -> str:
    """Returns the reason, and what to do about it."""
    if isinstance(failure, socket.gaierror):
        return "the host name does not resolve"
    reason = _REASONS.get(failure.errno or 0)
    return reason or (os.strerror(failure.errno) if failure.errno else "unknown reason")


# Precedent: nginx and Go use the system's maximum; Linux caps it at net.core.somaxconn.
BACKLOG = 4096
