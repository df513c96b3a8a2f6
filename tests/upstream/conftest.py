"""Both event loops for the tests that touch sockets."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

# Tests with sockets run on both event loops.
_ON_BOTH_LOOPS = ("test_connection", "test_pool")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """asyncio's event loop, and uvloop if installed."""
    if not item.path.stem.startswith(_ON_BOTH_LOOPS):
        return {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:  # Windows
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
