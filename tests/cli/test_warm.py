"""After start and reload, the proxy asks every endpoint for its time before the first call."""

import asyncio
from pathlib import Path

import pytest
from support.command import running, write_store

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

BOUND_S = 20.0
FREE = ("--listen", "127.0.0.1:0")


async def _until_asked_for_its_time(sandbox: Sandbox) -> None:
    async with asyncio.timeout(BOUND_S):
        while not any(each.target == b"/1.0/auth/time" for each in sandbox.requests):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _profile(name: str, sandbox: Sandbox) -> str:
    return f"  {name}: {{endpoint: {sandbox.base_url}, access_token: {grants.ACCESS_TOKEN}}}\n"


async def test_every_endpoint_is_asked_for_its_time_at_start(home: Path, sandbox: Sandbox) -> None:
    async with Sandbox() as other:
        store = write_store(home, sandbox, extra=_profile("other", other))

        async with running(home, "run", *FREE, "--credentials", store):
            await _until_asked_for_its_time(other)

        assert [request.target for request in other.requests] == [b"/1.0/auth/time"]


async def test_the_endpoint_of_a_profile_that_is_added_later_is_asked_too(
    home: Path, sandbox: Sandbox
) -> None:
    async with Sandbox() as other:
        store = write_store(home, sandbox)
        async with running(home, "run", *FREE, "--credentials", store):
            await _until_asked_for_its_time(sandbox)
            before = len(other.requests)

            write_store(home, sandbox, extra=_profile("other", other))
            await _until_asked_for_its_time(other)

    assert before == 0
