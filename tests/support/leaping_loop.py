"""An event loop whose time leaps on demand, so long waits end at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LeapingLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop with another clock."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


async def leap(seconds: float) -> None:
    """Advances the time, and returns when all due timers have run."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    loop.ahead += seconds
    for _ in range(3):  # to find them, run them, and run what they schedule
        await asyncio.sleep(0)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a test in such a loop; errors reported by asyncio fail it."""
    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = runner.run(main)
    assert complaints == []
    return result
