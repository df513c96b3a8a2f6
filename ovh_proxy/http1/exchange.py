"""One HTTP exchange: what is known of a request and its response while it is served."""

import random
from typing import Protocol

from ovh_proxy.core.redaction import redact_path, redact_target
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.ovhcloud.retry import Attempts

# nginx's word for a client that left before its answer.
CLIENT_LEFT = 499


class ExchangeTrace(Protocol):
    """The part of a trace that one request adds to it."""

    def begin_call(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """Begins the call to OVHcloud; returns the request with its trace headers."""

    def end(self, exchange: "Exchange") -> None:
        """Ends the request."""


class Exchange:
    """One request and its answer, filled in as they happen.

    Attributes:
        began: seconds by a steady clock.
        caller: the IP address, on a unix socket the user's number; known to an audit alone.
        trace: what goes on of it in a trace, if it is traced.
        body_bytes: of the request's body; answer_bytes: of the answer's, as OVHcloud sent it.
        sent_bytes: to the client, head and framing included.
        raw_target: as it came in; `target` is what of it may be logged.
        is_target_read: it has one reading; else nothing after `?` is logged.
        shown: what may be logged of it, where that was found out before.
        status: of the answer, 0 while there is none; 499 when the client left before it.
        code: of our own error, if one was answered.
        has_begun: bytes of the answer have been written, so that no other can be sent.
        upstream_status: of OVHcloud's answer, once there is one.
        is_carried: the client has left, and the call goes on to its end.
        is_cut: the answer had begun and broke off.
        waited_s: seconds in which the client was waited for, to send or to take bytes.
    """

    __slots__ = (
        "answer_bytes",
        "attempts",
        "began",
        "body_bytes",
        "caller",
        "client",
        "code",
        "has_begun",
        "is_carried",
        "is_cut",
        "is_own_route",
        "is_target_read",
        "method",
        "profile",
        "query_id",
        "raw_target",
        "request_id",
        "sent_bytes",
        "shown",
        "status",
        "trace",
        "upstream_s",
        "upstream_status",
        "waited_s",
    )

    def __init__(self, began: float, method: str = "-", raw_target: bytes = b"-") -> None:
        self.began = began
        self.method = method
        self.raw_target = raw_target
        self.is_target_read = False
        self.shown: str | None = None
        self.request_id = ""
        self.client = "-"
        self.profile = "-"
        self.status = 0
        self.code: str | None = None
        self.has_begun = False
        self.is_cut = False
        self.is_carried = False
        self.is_own_route = False
        self.attempts = Attempts()
        self.body_bytes = 0
        self.answer_bytes = 0
        self.sent_bytes = 0
        self.upstream_s = 0.0
        self.upstream_status: int | None = None
        self.waited_s = 0.0
        self.query_id: str | None = None
        self.caller: str | int | None = None
        self.trace: ExchangeTrace | None = None

    @property
    def target(self) -> str:
        """What of the target may be logged."""
        if self.shown is not None:
            return self.shown
        return (redact_target if self.is_target_read else redact_path)(self.raw_target)


def new_id() -> str:
    """An id for a request whose client gave it none."""
    # It only has to differ from all others: nothing is proved by it.
    return random.getrandbits(128).to_bytes(16).hex()
