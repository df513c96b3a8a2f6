"""A client's request as parsed, and the cache of heads that came before."""

import re
from collections.abc import Callable
from typing import Any

from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ovh_proxy.http1.request_head import ProxyHead
from ovh_proxy.ovhcloud.messages import Headers
from ovh_proxy.policy.forward_proxy import AbsoluteTarget

# What a client may name its request by, and what goes into a log line as it stands.
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class ClientRequest:
    """Method, target and headers as they came in, and the body as it comes.

    Attributes:
        raw_target: byte for byte.
        raw_headers: in order and spelling.
        keep_alive: whether the client's connection may serve another request after this one.
        is_last: whether the client has said that it sends nothing more.
        plan: what was decided about it, kept for when the client says the very same again.
        given_id: by which the client names it; None where it does not, or not well.
        asked: its target as it came, where that was in absolute form.
    """

    asked: AbsoluteTarget | None = None

    __slots__ = (
        "content",
        "given_id",
        "is_http_1_0",
        "is_last",
        "keep_alive",
        "method",
        "plan",
        "raw_headers",
        "raw_target",
    )

    def __init__(self, message: RawRequestMessage, content: StreamReader) -> None:
        self.method = message.method
        self.raw_target = message.path.encode("ascii")  # anything else has been refused
        self.raw_headers: Headers = message.raw_headers
        self.given_id = given_id(self.raw_headers)
        self.is_http_1_0 = message.version.minor == 0
        self.content = content
        self.plan: Any = None
        self.is_last: bool = message.should_close or (self.is_http_1_0 and _says_close(message))
        # RFC 9110 section 7.8: a switch of protocols is declined by going on; the connection, of
        # which the client may now think otherwise, ends with the answer.
        self.keep_alive = not (self.is_last or "Upgrade" in message.headers)

    @property
    def may_come_again(self) -> bool:
        """Whether the same bytes mean the same request, and nothing but their head is in it."""
        return self.content is EMPTY_PAYLOAD and (self.keep_alive or self.is_last)


class AbsoluteRequest(ClientRequest):
    """A request whose target came in absolute form; `raw_target` is its path and query."""

    __slots__ = ("asked",)

    def __init__(
        self, message: RawRequestMessage, content: StreamReader, asked: AbsoluteTarget
    ) -> None:
        super().__init__(message, content)
        self.asked = asked

    @property
    def may_come_again(self) -> bool:
        """Never: a parser was given another head than the one that came."""
        return False


class ConnectRequest(ClientRequest):
    """CONNECT, which no parser has seen; nothing else is served on its connection."""

    __slots__ = ()

    def __init__(self, head: ProxyHead) -> None:
        self.method = "CONNECT"
        self.raw_target = head.target
        self.raw_headers = head.headers
        self.given_id = given_id(self.raw_headers)
        self.is_http_1_0 = head.is_http_1_0
        self.content = EMPTY_PAYLOAD
        self.plan = None
        self.keep_alive = False


def given_id(headers: Headers) -> str | None:
    """The client's own id of its request, where it is well formed."""
    for name, value in headers:
        if len(name) == 22 and name.lower() == b"x-ovh-proxy-request-id":
            return value.decode("ascii") if _WELL_FORMED.fullmatch(value) else None
    return None


def _says_close(message: RawRequestMessage) -> bool:
    # In HTTP/1.0 llhttp lets keep-alive win over close; RFC 9112 section 9.3 has it the other way.
    options = ",".join(message.headers.getall("Connection", ())).lower().split(",")
    return "close" in map(str.strip, options)


_MAX_BYTES = 4096

_MAX_HEADS = 256

_KEPT_S = 60.0


class HeadCache:
    """What heads without a body mean, by their bytes."""

    __slots__ = ("_is_due", "_later", "_requests")

    def __init__(self, later: Callable[[float, Callable[[], None]], object] | None = None) -> None:
        """
        Args:
            later: calls back after some seconds, to forget; None for what ends with a connection.
        """
        self._requests: dict[bytes, ClientRequest] = {}
        self._later = later
        self._is_due = False

    def request(self, head: bytes) -> ClientRequest | None:
        """The request that a head means, if it was kept."""
        return self._requests.get(head)

    def keep(self, head: bytes, request: ClientRequest) -> None:
        """Remembers a request, where the same bytes always mean the same."""
        if not request.may_come_again or len(head) > _MAX_BYTES:
            return
        if len(self._requests) >= _MAX_HEADS:
            self._requests.clear()
        self._requests[head] = request
        if self._later is not None and not self._is_due:
            self._is_due = True
            self._later(_KEPT_S, self._forget)

    def _forget(self) -> None:
        self._is_due = False
        self._requests.clear()
