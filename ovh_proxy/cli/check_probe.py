"""Asks OVHcloud about every profile at once, within bounded time."""

import asyncio
from dataclasses import replace

from ovh_proxy.auth.api_calls import ApiCalls
from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.signers import Signers
from ovh_proxy.auth.token_cache import TokenCache
from ovh_proxy.cli.check_result import CheckResult, judge_failure, judge_key, judge_token
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import ClockUnknown, OvhProxyError, UpstreamTimeout
from ovh_proxy.core.settings import Profile, Retries, Settings
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.ovhcloud.retry import Attempts
from ovh_proxy.upstream.pool import Pool

LIMIT_S = 15.0
_MAX_BODY = 262_144
_HEADERS = ((b"Accept", b"application/json"),)


async def probe_all(
    settings: Settings, profiles: tuple[Profile, ...], limit_s: float = LIMIT_S
) -> tuple[CheckResult, ...]:
    """The results of all profiles, in the same order.

    Args:
        limit_s: seconds for the clock of a profile, and again for its credential.
    """
    pool = Pool(settings.upstream, settings.timeouts)
    clocks, tokens = Clocks(pool), TokenCache(pool)
    probe = _Probe(clocks, Signers(clocks, tokens), ApiCalls(pool), limit_s)
    try:
        return tuple(await asyncio.gather(*map(probe, profiles)))
    finally:
        await clocks.close()
        await tokens.close()
        await pool.close()


class _Probe:
    """Checks one profile."""

    def __init__(self, clocks: Clocks, signers: Signers, calls: ApiCalls, limit_s: float) -> None:
        self._clocks = clocks
        self._signers = signers
        self._calls = calls
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
        clock = self._clocks.of(result.profile.endpoint)
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
        url = result.profile.endpoint.base_url + path
        signer = self._signers.of(result.profile)
        outgoing = UpstreamRequest("GET", url, _HEADERS, signed_text=signer.start("GET", url))
        response = await self._calls.send(outgoing, signer, Retries(), Attempts())
        try:
            body = b"".join(await response.incoming.read_up_to(_MAX_BODY))
        finally:
            response.incoming.abandon()
        return (judge_key if is_key else judge_token)(result, response.incoming.head.status, body)
