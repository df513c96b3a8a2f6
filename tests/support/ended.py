"""What a command that has ended leaves behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """An exit code, and all that was said."""

    code: int
    out: str
    err: str


Ask = Callable[..., Awaitable[Ended]]
