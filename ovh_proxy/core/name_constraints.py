"""Which host names and addresses a certificate authority of ours may vouch for."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import ENDPOINTS, OLDER_HOSTS

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# RFC 1123 forbids underscores in host names, but containers often have them.
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# RFC 1035 section 2.3.4, as text and without the trailing dot.
_MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """X.509 name constraints (RFC 5280 section 4.2.1.10).

    Attributes:
        names: permitted host names in lower case, each with all its subdomains.
        networks: permitted IP addresses.
    """

    names: tuple[str, ...]
    networks: tuple[IpNetwork, ...]

    def cover(self, name: str) -> bool:
        """Whether the constraints permit a host name in lower case or an IP address."""
        address = parse_ip(name)
        if address is not None:
            return any(address in network for network in self.networks)
        return is_host_name(name) and any(
            name == permitted or name.endswith(f".{permitted}") for permitted in self.names
        )

    def __str__(self) -> str:
        return ", ".join((*self.names, *map(str, self.networks)))


def is_host_name(name: str) -> bool:
    """Whether a lower-case text is valid as a host name in a certificate."""
    return len(name) <= _MAX_NAME and _HOST_NAME.fullmatch(name) is not None


def parse_ip(name: str) -> IpAddress | None:
    """The IP address that a text contains; None if it is not one."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    # A zone (`::1%lo`) is local to one machine and cannot be part of a certificate.
    return None if "%" in name else address


# Without the OAuth2 token hosts: people log in there.
DEFAULT_CONSTRAINTS = NameConstraints(
    names=(
        *(urlsplit(one.base_url).netloc for one in ENDPOINTS.values()),
        *OLDER_HOSTS,
        "localhost",
    ),
    networks=(ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128")),
)
