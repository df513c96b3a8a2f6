"""What a client that others wrote was told by `ovh-proxy exec`, and what it said."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ovh_proxy.sandbox import grants

SECRETS = (
    grants.APPLICATION_KEY,
    grants.APPLICATION_SECRET,
    grants.CONSUMER_KEY,
    grants.CLIENT_SECRET,
    grants.ACCESS_TOKEN,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A client that has ended.

    Attributes:
        environ: as it found it, a variable a line.
    """

    code: int
    out: str
    err: str
    environ: str

    @property
    def keys(self) -> list[str]:
        """The keys of the store that it was told, or told."""
        return [key for key in SECRETS if key in self.out + self.err + self.environ]


class Through(Protocol):
    """Runs a client by `ovh-proxy exec FLAGS -- COMMAND`, until its end."""

    async def __call__(
        self, *command: str | Path, flags: Iterable[str] = (), **env: str
    ) -> Seen: ...
