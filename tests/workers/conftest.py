"""A supervisor without processes."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from support.fake_supervisor import FakeSupervisor


@pytest_asyncio.fixture
async def supervisor() -> AsyncIterator[FakeSupervisor]:
    """A supervisor of three workers."""
    supervisor = FakeSupervisor(3)
    yield supervisor
    supervisor.close()
    await asyncio.sleep(0)
