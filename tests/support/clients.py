"""Environment and output of third-party clients run by `ovh-proxy exec`."""

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
    """A finished client.

    Attributes:
        environ: its environment, one variable per line.
    """

    code: int
    out: str
    err: str
    environ: str

    @property
    def keys(self) -> list[str]:
        """The keys of the store in its environment or output."""
        return [key for key in SECRETS if key in self.out + self.err + self.environ]


class Through(Protocol):
    """Runs a client with `ovh-proxy exec FLAGS -- COMMAND`."""

    async def __call__(
        self, *command: str | Path, flags: Iterable[str] = (), **env: str
    ) -> Seen: ...
