"""What ties a process to the others that serve the same listeners."""

from dataclasses import dataclass

from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.limits.rate import RateLimiter
from ovh_proxy.observability.metrics import NoPeerMetrics, PeerMetrics
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """All such ties.

    Attributes:
        rate_limiter: that of requests per minute; None for one of this process's own.
        share: of the connections; None where nobody else takes any.
    """

    shared_cache: SharedCache
    peers: PeerMetrics
    rate_limiter: RateLimiter | None = None
    share: ConnectionCount | None = None


SINGLE_PROCESS = ProcessGroup(UNSHARED, NoPeerMetrics())
