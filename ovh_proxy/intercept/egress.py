"""Connections to hosts other than OVHcloud's, and which addresses they may lead to."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import HostRefused
from ovh_proxy.core.name_constraints import IpAddress, parse_ip
from ovh_proxy.core.settings import TcpAddress, Timeouts, Upstream
from ovh_proxy.upstream.connector import SocketConnector, upstream_error

_REFUSED_NETWORKS = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this machine, on Linux
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata of most clouds
            "224.0.0.0/4",
            "240.0.0.0/4",
            "100.100.100.200/32",  # Alibaba Cloud's metadata
            "168.63.129.16/32",  # Azure's WireServer
            "192.0.0.192/32",  # Oracle Cloud's metadata
            "192.80.8.124/32",  # metadata.packet.net
            "::/128",
            "::1/128",
            "fe80::/10",
            "fec0::/10",  # site-local, long deprecated
            "ff00::/8",
            "fd00:ec2::/32",  # AWS' metadata, names and time
            "fd20:ce::/32",  # Google Cloud's metadata
            "fd00:42::/32",  # Scaleway's metadata (cloud-init, datasource Scaleway)
            "fd00:100::100:200/128",  # Alibaba Cloud's metadata
            "fd00:a9fe:a9fe::/48",  # Akamai's metadata (cloud-init, datasource Akamai)
            "fd00:c1::/32",  # Oracle Cloud's metadata
        ),
    )
)

# Networks with an IPv4 address in the last 32 bits: mapped, compatible, and translated (RFC 2765,
# RFC 6052, RFC 8215).
_EMBEDS_IPV4 = tuple(
    map(
        ip_network,
        ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"),
    )
)


def is_allowed_address(text: str) -> bool:
    """Whether a tunnel may lead to an address, in the form that `getaddrinfo` returns."""
    address = ip_address(text.partition("%")[0])
    return not any(
        one in network
        for one in (address, *_embedded_ipv4(address))
        for network in _REFUSED_NETWORKS
    )


def _embedded_ipv4(address: IpAddress) -> tuple[IPv4Address, ...]:
    """Returns the IPv4 addresses embedded in an IPv6 address."""
    if not isinstance(address, IPv6Address):
        return ()
    found = [address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _EMBEDS_IPV4):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)


SocketAddress = tuple[Any, ...]
"""An address and a port, as `getaddrinfo` returns them."""


class EgressConnector:
    """Opens these connections, through the same HTTP proxy as those to OVHcloud, if any."""

    def __init__(
        self,
        upstream: Upstream,
        timeouts: Timeouts,
        is_allowed: Callable[[int, SocketAddress], bool] | None = None,
    ) -> None:
        """
        Args:
            is_allowed: whether a tunnel may lead to an address, given its family.
        """
        self._is_allowed = is_allowed or _is_allowed
        self._connect_s = timeouts.connect_s
        self._sockets = SocketConnector(upstream.proxy)

    async def connect(self, target: TcpAddress) -> socket.socket:
        """Opens a socket to a host and port.

        Raises:
            HostRefused: tunnels to this address are not allowed.
            UpstreamFailed: it could not be reached.
            Overloaded: this machine has no free sockets.
        """
        _refuse_by_name(target.host)
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._sockets.connect(target, partial(self._allowed, target.host))
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, self._sockets.describe(target)) from failure

    def _allowed(self, host: str, found: list[Any]) -> list[Any]:
        # Exactly the addresses that were checked are connected to: the name is not resolved again.
        allowed = [one for one in found if self._is_allowed(one[0], one[4])]
        if not allowed:
            raise _refusal(host)
        return allowed

    async def close(self) -> None:
        """Cancels lookups of host names."""
        await self._sockets.close()


def _refuse_by_name(host: str) -> None:
    # With an HTTP proxy in between, only that proxy resolves names and can check addresses.
    if is_loopback(host) or (parse_ip(host) is not None and not is_allowed_address(host)):
        raise _refusal(host)


def _refusal(host: str) -> HostRefused:
    return HostRefused(
        f"tunnel to '{host[:80]}' refused: it leads to this machine, or to a link-local or "
        "cloud metadata address"
    )


def _is_allowed(family: int, address: SocketAddress) -> bool:
    return is_allowed_address(str(address[0])) and not _is_this_machine(family, address)


def _is_this_machine(family: int, address: SocketAddress) -> bool:
    """Whether an address belongs to this machine: the system would connect from the same one."""
    # Connecting a datagram socket sends nothing.
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(address)
        return bool(probe.getsockname()[0] == probe.getpeername()[0])
    return False
