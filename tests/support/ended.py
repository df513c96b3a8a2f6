"""The result of a finished command."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code and output."""

    code: int
    out: str
    err: str


Ask = Callable[..., Awaitable[Ended]]
