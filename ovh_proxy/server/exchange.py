"""What is known of one request while it is served: for its log line and its counters."""

import os
import re
from collections.abc import Callable

from ovh_proxy.core.messages import Headers
from ovh_proxy.upstream.calls import Attempts

# What a client may name its request by, and what goes into a log line as it stands.
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Exchange:
    """One request and its answer, filled in as they happen.

    Attributes:
        began: seconds by a steady clock.
        target: what of the target may be logged.
        status: of the answer, 0 while there is none; 499 when the client left before it.
        code: of our own error, if one was answered.
        has_begun: bytes of the answer have been written, so that no other can be sent.
    """

    __slots__ = (
        "attempts",
        "began",
        "body_bytes",
        "client",
        "code",
        "has_begun",
        "is_own_route",
        "method",
        "profile",
        "query_id",
        "request_id",
        "sent_bytes",
        "status",
        "target",
        "upstream_s",
    )

    def __init__(self, began: float, method: str = "-", target: str = "-") -> None:
        self.began = began
        self.method = method
        self.target = target
        self.request_id = ""
        self.client = "-"
        self.profile = "-"
        self.status = 0
        self.code: str | None = None
        self.has_begun = False
        self.is_own_route = False
        self.attempts = Attempts()
        self.body_bytes = 0
        self.sent_bytes = 0
        self.upstream_s = 0.0
        self.query_id: str | None = None


def request_id(headers: Headers, new: Callable[[], str] = lambda: os.urandom(16).hex()) -> str:
    """The client's own id of its request where it is well formed, else a new one."""
    for name, value in headers:
        if len(name) == 22 and name.lower() == b"x-ovh-proxy-request-id":
            return value.decode("ascii") if _WELL_FORMED.fullmatch(value) else new()
    return new()
