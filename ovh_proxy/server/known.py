"""Heads that clients of a listener have sent before, and the requests that they mean."""

# A client that says the very same again, as pollers do, is not asked again what it means; nor are
# many that come once each and say the same. Heads may hold client tokens: they are forgotten with
# the last connection, as if each connection had its own memory.

from ovh_proxy.server.request import ClientRequest

_MAX_BYTES = 4096
_MAX_HEADS = 256


class KnownHeads:
    """What heads without a body mean, by their bytes.

    Attributes:
        standing: connections that use it.
    """

    __slots__ = ("_requests", "standing")

    def __init__(self) -> None:
        self._requests: dict[bytes, ClientRequest] = {}
        self.standing = 0

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

    def leave(self) -> None:
        """A connection has gone."""
        self.standing -= 1
        if not self.standing:
            self._requests.clear()
