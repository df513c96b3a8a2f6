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


def can_tell_users() -> bool:
    """Whether the system tells who connects to a unix socket."""
    return hasattr(socket, "SO_PEERCRED")


def user_of(connection: socket.socket) -> int | None:
    """The user of the process that connected, by number; None where the system does not tell.

    Source: unix(7), SO_PEERCRED: the credentials of the moment of the connect, which the peer
    cannot change afterwards.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connection.family != getattr(socket, "AF_UNIX", None):
        return None
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


# What has come of a body and is not counted yet: the system's own default is some megabytes for
# each client that sends faster than it is read.
_RECEIVED_BYTES = 65_536


def bind(listener: Listener) -> list[socket.socket]:
    """The sockets of a listener, bound but not listening yet; a name may have several addresses.

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
        raise ListenFailed(f"cannot listen on {listener.address}: {why(failure)}") from failure


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
            if sys.platform != "win32":  # there it would let two programs share the port
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
    # Those that it accepts have the same.
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
    # Bound but not listening yet, nobody can connect; and no moment has wider permissions.
    before = os.umask(0o777)
    try:
        bound.bind(path)
    finally:
        os.umask(before)
    try:
        if owner != (-1, -1):
            os.chown(path, *owner)
        os.chmod(path, mode)
    except OSError:
        os.unlink(path)
        raise


def _owner(listener: Listener) -> tuple[int, int]:
    """Numbers of the user and the group; -1 leaves them as they are."""
    return _number(listener.owner, "owner"), _number(listener.group, "group")


def _number(name: str | None, what: str) -> int:
    if name is None:
        return -1
    import grp
    import pwd

    try:
        # The last of 32 bits means "as it is" to chown(2), and is nobody's number.
        if name.isdecimal() and int(name) < 2**32 - 1:
            return int(name)
        return pwd.getpwnam(name).pw_uid if what == "owner" else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ListenFailed(f"the {what} of a unix socket, {name}, is not known here") from None


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
            raise ListenFailed(f"cannot listen on unix:{path}: {why(failure)}") from failure
    raise ListenFailed(f"cannot listen on unix:{path}: another process listens there")


def _inherited_socket(address: InheritedAddress) -> socket.socket:
    inherited = socket.socket(fileno=os.dup(address.descriptor))
    if inherited.type != socket.SOCK_STREAM:
        inherited.close()
        raise ListenFailed(f"cannot listen on {address}: it is no stream socket")
    if inherited.family != getattr(socket, "AF_UNIX", None):
        _tune(inherited)
    inherited.setblocking(False)
    return inherited


_REASONS = {
    errno.EADDRINUSE: "another program listens there; choose another port, or stop it",
    errno.EACCES: "not permitted; ports below 1024 and foreign directories need privileges",
    errno.EADDRNOTAVAIL: "no such address on this machine",
    errno.ENOENT: "its directory does not exist",
    errno.EBADF: "no such descriptor was inherited",
    errno.ENOTSOCK: "the descriptor is no socket",
    errno.EINVAL: "the socket is connected to somebody; one that listens is needed",
}


def why(failure: OSError) -> str:
    """The reason in words that say what to do."""
    if isinstance(failure, socket.gaierror):
        return "the host name does not resolve"
    known = _REASONS.get(failure.errno or 0)
    return known or (os.strerror(failure.errno) if failure.errno else "it failed")


# Precedent: nginx and Go take what the system allows; Linux cuts it at net.core.somaxconn.
BACKLOG = 4096
