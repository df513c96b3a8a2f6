"""Heads that clients of a listener have sent before, and the requests that they mean."""

# A client that says the very same again, as pollers do, is not asked again what it means; nor are
# many that come once each and say the same. Heads may hold client tokens, and are kept no longer
# than it takes to pay: a head a minute that is read anew costs nothing.

from collections.abc import Callable

from ovh_proxy.http1.request import ClientRequest

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
