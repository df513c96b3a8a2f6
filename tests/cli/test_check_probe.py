import asyncio
import socket
from types import MappingProxyType

import pytest

from ovh_proxy.cli.check_probe import probe_all
from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Settings, Store
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


async def test_an_endpoint_that_never_responds_takes_bounded_time() -> None:
    # The kernel accepts connections; nothing responds on them.
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    token = AccessToken(Secret("unseen"))
    profiles = tuple(
        Profile(name, parse_endpoint(f"http://127.0.0.1:{port}/1.0"), token) for name in ("a", "b")
    )

    async with asyncio.timeout(10):
        results = await probe_all(_settings(*profiles), profiles, limit_s=0.1)

    silent.close()
    assert [result.problem for result in results] == ["no response within 0.1 s"] * 2
    assert [result.is_reachable for result in results] == [False, False]


async def test_a_failure_keeps_the_results_before_it(sandbox: Sandbox) -> None:
    sandbox.faults.always("delay=30", path="/auth/details")
    token = AccessToken(Secret(grants.ACCESS_TOKEN))
    profile = Profile("a", parse_endpoint(sandbox.base_url), token)

    (result,) = await probe_all(_settings(profile), (profile,), limit_s=0.3)

    assert (result.is_reachable, result.clock_delta is not None) == (True, True)
    assert result.problem == "no response within 0.3 s"


async def test_profiles_are_checked_concurrently(sandbox: Sandbox) -> None:
    sandbox.faults.always("delay=0.3", path="/auth/details")
    token = AccessToken(Secret(grants.ACCESS_TOKEN))
    endpoint = parse_endpoint(sandbox.base_url)
    profiles = tuple(Profile(f"p{number}", endpoint, token) for number in range(20))

    # Sequentially, they would take six seconds.
    async with asyncio.timeout(5):
        results = await probe_all(_settings(*profiles), profiles)

    assert [result.profile for result in results] == list(profiles)
    assert {result.problem for result in results} == {None}


def _settings(*profiles: Profile) -> Settings:
    named = {profile.name: profile for profile in profiles}
    return Settings(store=Store(MappingProxyType(named), None, "test"))
