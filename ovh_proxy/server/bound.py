"""Listeners that have their addresses, and do not accept yet."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import AutoTls, Listener, TcpAddress, UnixAddress
from ovh_proxy.listeners.sockets import BACKLOG, bind, why
from ovh_proxy.server.peers import can_tell_users
from ovh_proxy.tls.certificates import FileCertificates

if TYPE_CHECKING:
    from ovh_proxy.tls.stored_authority import AutoCertificates


AnyCertificates = Union[FileCertificates, "AutoCertificates"]


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A listener with its sockets, which processes that are forked from here on share.

    Attributes:
        certificates: of a TLS listener.
    """

    listener: Listener
    sockets: tuple[socket.socket, ...]
    certificates: AnyCertificates | None

    @property
    def url(self) -> str:
        """How it is reached, with the port that the system chose."""
        address = self.listener.address
        scheme = "http" if self.listener.tls is None else "https"
        if isinstance(address, TcpAddress):
            return f"{scheme}://{TcpAddress(address.host, self.sockets[0].getsockname()[1])}"
        return str(address)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines may reach it."""
        return any(_is_exposed(one) for one in self.sockets)

    @property
    def socket_file(self) -> str | None:
        """The name of a unix socket in the file system."""
        address = self.listener.address
        is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
        return address.path if is_file and isinstance(address, UnixAddress) else None

    def listen(self) -> None:
        """Lets the system take connections, to be accepted later.

        Raises:
            ListenFailed: it does not.
        """
        try:
            for one in self.sockets:
                one.listen(BACKLOG)
        except OSError as failure:
            address = self.listener.address
            raise ListenFailed(f"cannot listen on {address}: {why(failure)}") from failure

    def close(self) -> None:
        """Gives the sockets up in this process."""
        for one in self.sockets:
            one.close()

    def remove_name(self) -> None:
        """Removes the file of a unix socket."""
        if self.socket_file is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.socket_file)


def bind_listener(listener: Listener) -> BoundListener:
    """Takes the addresses of a listener.

    Raises:
        ListenFailed: it cannot be bound, or its certificate cannot be used.
    """
    if listener.uids is not None and not can_tell_users():
        raise ListenFailed("this system does not tell users apart; leave `uids` out")
    certificates = _certificates(listener)
    return BoundListener(listener, tuple(bind(listener)), certificates)


def _certificates(listener: Listener) -> AnyCertificates | None:
    match listener.tls:
        case None:
            return None
        case AutoTls() as tls:
            # Imported here: it brings a library that nobody else needs.
            from ovh_proxy.tls.stored_authority import AutoCertificates

            return AutoCertificates(tls, listener.address)
        case files:
            return FileCertificates(files)


def _is_exposed(bound: socket.socket) -> bool:
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return not is_loopback(bound.getsockname()[0])
