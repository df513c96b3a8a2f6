"""An event loop with test host names, whose time leaps on demand."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from support.leaping_loop import LeapingLoop

Addresses = Callable[[], Awaitable[tuple[str, ...]]]


class NamesLoop(LeapingLoop):
    """asyncio's event loop with another clock and with host names of the test.

    Attributes:
        names: the result of a lookup, or the error it raises.
        lookups: the requested names, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, Addresses] = {}
        self.lookups: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if host not in self.names:
            return await super().getaddrinfo(host, port, **options)
        self.lookups.append(host)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in await self.names[host]()
        ]


def names() -> NamesLoop:
    """The loop of this test."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, NamesLoop)
    return loop


def changing(*answers: tuple[str, ...] | OSError) -> Addresses:
    """Returns these results in turn; the last one is repeated."""
    left = list(answers)

    async def lookup() -> tuple[str, ...]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return lookup


async def never() -> tuple[str, ...]:
    """Never resolves."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
"""The error for an unknown name."""
