"""Asks OVHcloud about every profile at once, within bounded time."""

import asyncio
from dataclasses import replace

from ovh_proxy.auth.api_calls import ApiClient
from ovh_proxy.cli.check_result import CheckResult, judge_failure, judge_key, judge_token
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import ClockUnknown, OvhProxyError, UpstreamTimeout
from ovh_proxy.core.settings import Profile, Retries, Settings

LIMIT_S = 15.0


async def probe_all(
    settings: Settings, profiles: tuple[Profile, ...], limit_s: float = LIMIT_S
) -> tuple[CheckResult, ...]:
    """The results of all profiles, in the same order.

    Args:
        limit_s: seconds for the clock of a profile, and again for its credential.
    """
    async with ApiClient(settings.upstream, settings.timeouts) as client:
        return tuple(await asyncio.gather(*map(_Probe(client, limit_s), profiles)))


class _Probe:
    """Checks one profile."""

    def __init__(self, client: ApiClient, limit_s: float) -> None:
        self._client = client
        self._limit_s = limit_s

    async def __call__(self, profile: Profile) -> CheckResult:
        result = CheckResult(profile)
        for step in (self._check_clock, self._check_credential):
            try:
                async with asyncio.timeout(self._limit_s):
                    result = await step(result)
            except TimeoutError:
                return judge_failure(
                    result, UpstreamTimeout(f"no response within {self._limit_s:g} s")
                )
            except OvhProxyError as failure:
                return judge_failure(result, failure)
        return result

    async def _check_clock(self, result: CheckResult) -> CheckResult:
        clock = self._client.clocks.of(result.profile.endpoint)
        try:
            await clock.timestamp()
        except ClockUnknown:
            # Tokens need no timestamp, so they work at an endpoint without a clock.
            if isinstance(result.profile.credential, ApplicationCredential):
                raise
        return replace(result, is_reachable=True, clock_delta=clock.delta)

    async def _check_credential(self, result: CheckResult) -> CheckResult:
        is_key = isinstance(result.profile.credential, ApplicationCredential)
        path = "/auth/currentCredential" if is_key else "/auth/details"
        status, _, body = await self._client.fetch_signed("GET", path, result.profile, Retries())
        return (judge_key if is_key else judge_token)(result, status, body)
