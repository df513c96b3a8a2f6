"""The result of a command that exited."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Ask = Callable[..., Awaitable[Ended]]
