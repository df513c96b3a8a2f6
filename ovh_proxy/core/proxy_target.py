"""What the target of a request names that a proxy is asked for."""

import ipaddress
import re
from dataclasses import dataclass

from ovh_proxy.core.errors import BadRequest, BadTarget
from ovh_proxy.policy.hosts import Host, HostPort, parse_host_header

_ABSOLUTE = re.compile(rb"(https?)://([^/?#]*)([/?].*)?", re.IGNORECASE)
# What resolvers take for an IPv4 address in an old spelling (`127.1`, `0x7f000001`), or may.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class AbsoluteTarget:
    """A target in absolute form.

    Attributes:
        scheme, host: as it names them; origin_form: the rest of it, as written.
    """

    scheme: str
    host: Host
    origin_form: bytes

    @property
    def port(self) -> int:
        return self.host.port or (443 if self.scheme == "https" else 80)

    @property
    def host_port(self) -> HostPort:
        """Where it leads: an endpoint is asked over TLS, in clear or not as the client may ask."""
        is_default = self.host.port in (None, 443 if self.scheme == "https" else 80)
        return HostPort(self.host.name, 443 if is_default else self.port)


def parse_connect(target: bytes) -> HostPort:
    """The target of CONNECT, which is a host and a port (RFC 9112 section 3.2.3).

    Raises:
        BadTarget: it is something else.
    """
    host = _parse_authority(target)
    if not host.port or host.port > 65535:
        raise BadTarget("the target of CONNECT is HOST:PORT")
    return HostPort(host.name, host.port)


def parse_absolute(target: bytes) -> AbsoluteTarget:
    """A target in absolute form (RFC 9112 section 3.2.2).

    Raises:
        BadTarget: it has none, or no one reading.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadTarget("the target is neither a path nor an http:// or https:// URL")
    host = _parse_authority(match[2])
    if host.port == 0 or (host.port or 0) > 65535:
        raise BadTarget("the port in the target is none")
    rest: bytes = match[3] or b"/"
    return AbsoluteTarget(
        match[1].decode("ascii").lower(), host, rest if rest.startswith(b"/") else b"/" + rest
    )


def _parse_authority(text: bytes) -> Host:
    try:
        host = parse_host_header(text)
    except BadRequest as failure:
        raise BadTarget("the target names no host with a port: no user, no path") from failure
    if ":" not in host.name and _NUMBER.fullmatch(host.name.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host.name)
        except ValueError:
            raise BadTarget("the host in the target is a number in no usual spelling") from None
    return host
