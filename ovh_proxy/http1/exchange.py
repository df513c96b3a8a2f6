"""One HTTP exchange: what is known of a request and its response while it is served."""

import random
from typing import Protocol

from ovh_proxy.core.redaction import redact_path, redact_target
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.ovhcloud.retry import Attempts

# nginx's status for a client that disconnected before the response.
CLIENT_LEFT = 499


class ExchangeTrace(Protocol):
    """The spans of one request."""

    def begin_call(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """Starts the span of the call to OVHcloud; returns the request with trace headers."""

    def end(self, exchange: "Exchange") -> None:
        """Ends the spans."""


class Exchange:
    """One request and its response, filled in step by step.

    Attributes:
        began: seconds by a monotonic clock.
        peer: the client's IP address, or its user ID on a unix socket; set for the audit log only.
        trace: the spans of the request, if it is traced.
        body_bytes: size of the request body.
        response_body_bytes: size of the response body, as OVHcloud sent it.
        sent_bytes: to the client, including head and framing.
        raw_target: as received; `target` is the part that may be logged.
        is_target_read: the target is unambiguous; otherwise nothing after `?` is logged.
        logged_target: what may be logged of the target, if that was determined before.
        status: of the response; 0 while there is none, 499 if the client disconnected before it.
        code: of the proxy's own error, if any.
        has_begun: bytes of the response were written, so no other response can be sent.
        upstream_status: of OVHcloud's response, once there is one.
        is_detached: the client has disconnected, and the call continues to its end.
        is_cut: the response started and broke off.
        waited_s: seconds spent waiting for the client to send or to read bytes.
    """

    __slots__ = (
        "attempts",
        "began",
        "body_bytes",
        "client",
        "code",
        "has_begun",
        "is_cut",
        "is_detached",
        "is_own_route",
        "is_target_read",
        "logged_target",
        "method",
        "peer",
        "profile",
        "query_id",
        "raw_target",
        "request_id",
        "response_body_bytes",
        "sent_bytes",
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
        self.logged_target: str | None = None
        self.request_id = ""
        self.client = "-"
        self.profile = "-"
        self.status = 0
        self.code: str | None = None
        self.has_begun = False
        self.is_cut = False
        self.is_detached = False
        self.is_own_route = False
        self.attempts = Attempts()
        self.body_bytes = 0
        self.response_body_bytes = 0
        self.sent_bytes = 0
        self.upstream_s = 0.0
        self.upstream_status: int | None = None
        self.waited_s = 0.0
        self.query_id: str | None = None
        self.peer: str | int | None = None
        self.trace: ExchangeTrace | None = None

    @property
    def target(self) -> str:
        """The part of the target that may be logged."""
        if self.logged_target is not None:
            return self.logged_target
        return (redact_target if self.is_target_read else redact_path)(self.raw_target)


def new_id() -> str:
    """Returns an ID for a request whose client set none."""
    # It only has to be unique; it needs no cryptographic randomness.
    return random.getrandbits(128).to_bytes(16).hex()
