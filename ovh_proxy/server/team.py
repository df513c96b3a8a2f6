"""What ties a process to the others that serve the same listeners."""

from dataclasses import dataclass

from ovh_proxy.server.metrics import NoPeerMetrics, PeerMetrics
from ovh_proxy.server.pace import RateLimiter
from ovh_proxy.server.shares import ConnectionCount
from ovh_proxy.upstream import sharing
from ovh_proxy.upstream.sharing import SharedCache


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """All such ties.

    Attributes:
        pace: that of requests per minute; None for one of this process's own.
        share: of the connections; None where nobody else takes any.
    """

    sharing: SharedCache
    fellows: PeerMetrics
    pace: RateLimiter | None = None
    share: ConnectionCount | None = None


SINGLE_PROCESS = ProcessGroup(sharing.ALONE, NoPeerMetrics())
