"""A client's request as parsed, and the cache of heads that came before."""

import re
from collections.abc import Callable
from typing import Any

from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ovh_proxy.http1.request_head import ProxyHead
from ovh_proxy.ovhcloud.messages import Headers
from ovh_proxy.policy.forward_proxy import AbsoluteTarget

# The request IDs that clients may set; they are logged unchanged.
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class ClientRequest:
    """Method, target and headers as received, and the body as a stream.

    Attributes:
        raw_target: byte for byte.
        raw_headers: in original order and spelling.
        keep_alive: whether the client's connection may serve another request after this one.
        is_last: whether the client has announced that it sends nothing more.
        authorized: what was decided about it, kept for identical requests.
        given_id: the request ID that the client set; None if it set none, or an invalid one.
        absolute_target: the original target, if that was in absolute form.
    """

    absolute_target: AbsoluteTarget | None = None

    __slots__ = (
        "authorized",
        "content",
        "given_id",
        "is_http_1_0",
        "is_last",
        "keep_alive",
        "method",
        "raw_headers",
        "raw_target",
    )

    def __init__(self, message: RawRequestMessage, content: StreamReader) -> None:
        self.method = message.method
        self.raw_target = message.path.encode("ascii")  # anything else was rejected before
        self.raw_headers: Headers = message.raw_headers
        self.given_id = given_id(self.raw_headers)
        self.is_http_1_0 = message.version.minor == 0
        self.content = content
        self.authorized: Any = None
        self.is_last: bool = message.should_close or (self.is_http_1_0 and _says_close(message))
        # RFC 9110 section 7.8: a server declines an upgrade by ignoring it. The connection is
        # closed after the response, because the client may expect the other protocol on it.
        self.keep_alive = not (self.is_last or "Upgrade" in message.headers)

    @property
    def is_cacheable(self) -> bool:
        """Whether the same bytes are always the same request, with no body."""
        return self.content is EMPTY_PAYLOAD and (self.keep_alive or self.is_last)


class AbsoluteRequest(ClientRequest):
    """A request whose target was in absolute form; `raw_target` is its path and query."""

    __slots__ = ("absolute_target",)

    def __init__(
        self, message: RawRequestMessage, content: StreamReader, absolute_target: AbsoluteTarget
    ) -> None:
        super().__init__(message, content)
        self.absolute_target = absolute_target

    @property
    def is_cacheable(self) -> bool:
        """Never: the parser got a different head from the one that the client sent."""
        return False


class ConnectRequest(ClientRequest):
    """CONNECT, which bypasses the parser; nothing else is served on its connection."""

    __slots__ = ()

    def __init__(self, head: ProxyHead) -> None:
        self.method = "CONNECT"
        self.raw_target = head.target
        self.raw_headers = head.headers
        self.given_id = given_id(self.raw_headers)
        self.is_http_1_0 = head.is_http_1_0
        self.content = EMPTY_PAYLOAD
        self.authorized = None
        self.keep_alive = False


def given_id(headers: Headers) -> str | None:
    """Returns the client's own request ID, if it is well formed."""
    for name, value in headers:
        if len(name) == 22 and name.lower() == b"x-ovh-proxy-request-id":
            return value.decode("ascii") if _WELL_FORMED.fullmatch(value) else None
    return None


def _says_close(message: RawRequestMessage) -> bool:
    # In HTTP/1.0, llhttp prefers keep-alive to close; RFC 9112 section 9.3 requires the opposite.
    options = ",".join(message.headers.getall("Connection", ())).lower().split(",")
    return "close" in map(str.strip, options)


_MAX_BYTES = 4096
_MAX_HEADS = 256
_MAX_AGE_S = 60.0


class HeadCache:
    """Parsed requests without a body, by the bytes of their heads."""

    __slots__ = ("_is_due", "_later", "_requests")

    def __init__(self, later: Callable[[float, Callable[[], None]], object] | None = None) -> None:
        """
        Args:
            later: schedules a callback that clears the cache; None if it lives only as long as
                one connection.
        """
        self._requests: dict[bytes, ClientRequest] = {}
        self._later = later
        self._is_due = False

    def request(self, head: bytes) -> ClientRequest | None:
        """Returns the cached request of a head, if any."""
        return self._requests.get(head)

    def put(self, head: bytes, request: ClientRequest) -> None:
        """Caches a request if it is cacheable."""
        if not request.is_cacheable or len(head) > _MAX_BYTES:
            return
        if len(self._requests) >= _MAX_HEADS:
            self._requests.clear()
        self._requests[head] = request
        if self._later is not None and not self._is_due:
            self._is_due = True
            self._later(_MAX_AGE_S, self._clear)

    def _clear(self) -> None:
        self._is_due = False
        self._requests.clear()
