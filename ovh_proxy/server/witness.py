"""Whoever is told of every request, besides the log and the counters."""

from typing import Protocol

from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest


class RequestObserver(Protocol):
    """Sees a request come and go, and changes nothing of it."""

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """A request has come; None for input that never became one."""

    def end(self, exchange: Exchange) -> None:
        """It has ended, however it did."""
