"""The result of a third-party client that `ovh-proxy exec` ran."""

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
class ClientResult:
    """A client that has exited.

    Attributes:
        environ: its environment, one variable per line.
    """

    code: int
    out: str
    err: str
    environ: str

    @property
    def keys(self) -> list[str]:
        """The keys of the store that are in its environment or output."""
        return [key for key in SECRETS if key in self.out + self.err + self.environ]


class RunClient(Protocol):
    """Runs a client with `ovh-proxy exec FLAGS -- COMMAND` until it exits."""

    async def __call__(
        self, *command: str | Path, flags: Iterable[str] = (), **env: str
    ) -> ClientResult: ...
