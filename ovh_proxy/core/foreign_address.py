"""Which addresses a tunnel may lead to.

Private networks are among them, because a company's mirror is there. What this machine alone
reaches is not, nor what tells a cloud's machines their secrets: the client may be a container, or
another machine.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ovh_proxy.core.name_constraints import IpAddress

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
