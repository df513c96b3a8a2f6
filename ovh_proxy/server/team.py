"""What ties a process to the others that serve the same listeners."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ovh_proxy.server.pace import Paces
from ovh_proxy.server.shares import Share
from ovh_proxy.server.tallies import Snapshot
from ovh_proxy.upstream import sharing
from ovh_proxy.upstream.sharing import Sharing


class Fellows(Protocol):
    """A way to what the others have counted."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """What others have counted, those that have ended included.

        Args:
            own: gives what this process has counted.

        Raises:
            Overloaded: it could not be found out.
        """


class NoFellows:
    """There are no others."""

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        return []


@dataclass(frozen=True, slots=True)
class Team:
    """All such ties.

    Attributes:
        pace: that of requests per minute; None for one of this process's own.
        share: of the connections; None where nobody else takes any.
    """

    sharing: Sharing
    fellows: Fellows
    pace: Paces | None = None
    share: Share | None = None


ALONE = Team(sharing.ALONE, NoFellows())
