"""Connections to hosts other than OVHcloud's, and which addresses they may lead to."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import HostRefused
from ovh_proxy.core.name_constraints import IpAddress, parse_ip
from ovh_proxy.core.settings import TcpAddress, Timeouts, Upstream
from ovh_proxy.upstream.connector import SocketConnector, upstream_error

_REFUSED = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this machine, to Linux
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata of most clouds
            "224.0.0.0/4",
            "240.0.0.0/4",
            "100.100.100.200/32",  # Alibaba Cloud's metadata
            "168.63.129.16/32",  # Azure's WireServer
            "192.0.0.192/32",  # Oracle Cloud's metadata
            "::/128",
            "::1/128",
            "fe80::/10",
            "fec0::/10",  # site-local, long deprecated
            "ff00::/8",
            "fd00:ec2::/32",  # AWS' metadata, names and time
            "fd20:ce::/32",  # Google Cloud's metadata
        ),
    )
)

# IPv4 addresses in the last 32 bits: mapped, compatible, translated (RFC 6052, RFC 8215).
_LAST_BITS = tuple(map(ip_network, ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


def may_be_reached(text: str) -> bool:
    """Whether a tunnel may lead to an address, as `getaddrinfo` writes it."""
    address = ip_address(text.partition("%")[0])
    return not any(one in network for one in (address, *_within(address)) for network in _REFUSED)


def _within(address: IpAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if not isinstance(address, IPv6Address):
        return ()
    found = [address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _LAST_BITS):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)


Where = tuple[Any, ...]
"""An address and a port, as `getaddrinfo` gives them."""


class EgressConnector:
    """Makes them, as the settings say how: by the same proxy as OVHcloud is reached, if any."""

    def __init__(
        self,
        upstream: Upstream,
        timeouts: Timeouts,
        may_lead: Callable[[int, Where], bool] | None = None,
    ) -> None:
        """
        Args:
            may_lead: whether a tunnel may lead to an address, by its family.
        """
        self._may_lead = may_lead or _may_lead
        self._connect_s = timeouts.connect_s
        self._sockets = SocketConnector(upstream.proxy)

    async def connect(self, target: TcpAddress) -> socket.socket:
        """A socket that leads to a host and port.

        Raises:
            HostRefused: no tunnel may lead there.
            UpstreamFailed: it could not be reached.
            Overloaded: this machine has no more sockets to give.
        """
        _refuse_by_name(target.host)
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._sockets.connect(target, self._allowed)
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, self._sockets.describe(target)) from failure

    def _allowed(self, found: list[Any]) -> list[Any]:
        # Exactly the addresses that were checked are connected to: the name is not resolved again.
        allowed = [one for one in found if self._may_lead(one[0], one[4])]
        if not allowed:
            raise _refusal()
        return allowed

    async def close(self) -> None:
        """Cancels lookups of host names."""
        await self._sockets.close()


def _refuse_by_name(host: str) -> None:
    # Behind a proxy nobody here learns where a name leads; that is for the proxy to judge.
    if is_loopback(host) or (parse_ip(host) is not None and not may_be_reached(host)):
        raise _refusal()


def _refusal() -> HostRefused:
    return HostRefused(
        "no tunnel leads to this machine itself, to link-local or metadata addresses"
    )


def _may_lead(family: int, where: Where) -> bool:
    return may_be_reached(str(where[0])) and not _is_this_machine(family, where)


def _is_this_machine(family: int, where: Where) -> bool:
    """Whether an address is one of our own: the system would call from the very same."""
    # A datagram socket sends nothing when it is connected.
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(where)
        return bool(probe.getsockname()[0] == probe.getpeername()[0])
    return False
