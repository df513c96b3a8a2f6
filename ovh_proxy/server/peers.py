"""Who is at the other end of a unix socket."""

import socket
import struct

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
