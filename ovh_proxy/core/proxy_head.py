"""The head of a request that is meant for a proxy."""

from dataclasses import dataclass

from ovh_proxy.core.settings import Limits
from ovh_proxy.http1.request_head import REQUEST_LINE, check_head
from ovh_proxy.ovhcloud.messages import Headers


@dataclass(frozen=True, slots=True)
class ProxyHead:
    """What a checked head asks of a proxy.

    Attributes:
        target: in authority form for CONNECT, else in absolute form.
        fields: the header lines, up to and with the empty one.
    """

    method: bytes
    target: bytes
    is_http_1_0: bool
    fields: bytes

    @property
    def headers(self) -> Headers:
        """The header lines taken apart, as a parser would."""
        lines = self.fields.removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.partition(b":") for line in lines if line)
        return tuple((name, value.strip(b" \t")) for name, _, value in pairs)

    def with_target(self, target: bytes) -> bytes:
        """The whole head with another target."""
        version = b"HTTP/1.0" if self.is_http_1_0 else b"HTTP/1.1"
        return b"%b %b %b\r\n%b" % (self.method, target, version, self.fields)


def proxy_head(head: bytes, limits: Limits) -> ProxyHead | None:
    """What a head asks that a proxy alone would be asked; None where it does not.

    Raises:
        BadRequest, HeadersTooLarge: it has no one reading, or is too large.
    """
    line = REQUEST_LINE.match(head)
    if line is None or line[1] == b"TRACE" or line[2].startswith((b"/", b"*")):
        return None
    if not line[2].isascii():
        return None
    check_head(head, limits, is_to_proxy=True)
    return ProxyHead(line[1], line[2], line[3] == b"0", head[line.end() :])
