"""Makes one API call as one profile: sign, send, retry."""

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Self

from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.credential_states import CredentialStates
from ovh_proxy.auth.signers import Signer, Signers
from ovh_proxy.auth.token_cache import TokenCache
from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Profile, Retries, Timeouts, Upstream
from ovh_proxy.ovhcloud.auth_api import refusal_of
from ovh_proxy.ovhcloud.messages import ResponseHead, UpstreamRequest, plain
from ovh_proxy.ovhcloud.retry import Attempts, is_worth_another, stated_wait, wait_before
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache

# Responses with these may refuse the credential, so their body is inspected before it is relayed.
_MAY_REFUSE = frozenset({400, 401, 403})
_MAX_INSPECTED = 16_384


@dataclass(slots=True)
class ApiResponse:
    """The response to a call.

    Attributes:
        refusal: the code by which OVHcloud refuses the credential itself, or None.
    """

    incoming: UpstreamResponse
    refusal: str | None


class ApiCalls:
    """Sends signed requests over the pool."""

    def __init__(self, pool: Pool, jitter: Callable[[], float] = random.random) -> None:
        self._pool = pool
        self._jitter = jitter

    async def send(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries, attempts: Attempts
    ) -> ApiResponse:
        """Makes a call, signing each attempt anew, and returns the response.

        Raises:
            OvhProxyError: no response, or the request could not be signed.
        """
        is_renewed = False
        while True:
            response = await self._attempt(outgoing, signer, retries, attempts)
            if response is None:
                continue
            incoming = response.incoming
            is_stale = signer.is_stale(incoming.head.status, response.refusal)
            if is_stale and not is_renewed and await _renew(signer, incoming):
                is_renewed = True  # only once: a second refusal is final
                incoming.abandon()
                continue
            wait = self._retry_delay(outgoing, incoming.head, retries, attempts)
            if wait is None:
                return response
            incoming.abandon()
            await asyncio.sleep(wait)

    async def _attempt(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries, attempts: Attempts
    ) -> ApiResponse | None:
        attempts.count += 1
        attempts.is_out = False
        try:
            signed = await signer.sign(outgoing)
            incoming = await self._pool.send(signed, attempts.leave, attempts.uncounted > 0)
            may_refuse = incoming.head.status in _MAY_REFUSE
            return ApiResponse(incoming, await _refusal(incoming) if may_refuse else None)
        except UpstreamFailed as failure:
            # A request that was not sent is safe to retry: only the time or a token was requested.
            is_safe = outgoing.is_safe or not attempts.is_out
            attempts.discount(failure, is_safe, retries)
            if not is_worth_another(failure, is_safe, attempts.counted, retries):
                raise
            await asyncio.sleep(wait_before(attempts.counted, self._jitter(), failure))
            return None

    @staticmethod
    def _retry_delay(
        outgoing: UpstreamRequest, head: ResponseHead, retries: Retries, attempts: Attempts
    ) -> float | None:
        """Seconds until the next attempt, or None to return this response."""
        if head.status not in retries.on_status:
            return None
        if not outgoing.is_safe or attempts.counted >= retries.attempts:
            return None
        return stated_wait(head.header(b"retry-after"), head.header(b"date"))


async def _refusal(incoming: UpstreamResponse) -> str | None:
    head = incoming.head
    try:
        pieces = await incoming.read_up_to(_MAX_INSPECTED)
    except BaseException:
        incoming.abandon()
        raise
    incoming.unread(pieces)
    text = plain(b"".join(pieces), head.header(b"content-encoding"), _MAX_INSPECTED)
    return refusal_of(head.status, text)


async def _renew(signer: Signer, incoming: UpstreamResponse) -> bool:
    try:
        return await signer.renew()
    except BaseException:
        incoming.abandon()
        raise


_ACCEPT = ((b"Accept", b"application/json"),)
_MAX_BODY = 262_144


class ApiClient:
    """Everything that a call needs: connections, clocks, tokens, signers; an async context."""

    def __init__(
        self,
        upstream: Upstream,
        timeouts: Timeouts,
        shared_cache: SharedCache = UNSHARED,
        states: CredentialStates | None = None,
    ) -> None:
        self.pool = Pool(upstream, timeouts)
        self.clocks = Clocks(self.pool, shared_cache=shared_cache)
        self.tokens = TokenCache(self.pool, shared_cache=shared_cache)
        self.states = states or CredentialStates(shared_cache=shared_cache)
        self.signers = Signers(self.clocks, self.tokens, self.states)
        self.calls = ApiCalls(self.pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancels requests for time and tokens, and closes all connections."""
        await self.clocks.close()
        await self.tokens.close()
        await self.pool.close()

    def retain(self, profiles: Collection[Profile]) -> None:
        """Drops the clocks, tokens and states that none of these profiles uses."""
        self.clocks.retain(profile.endpoint for profile in profiles)
        credentials = (profile.credential for profile in profiles)
        self.tokens.retain({one for one in credentials if isinstance(one, ServiceAccount)})
        self.states.retain(profiles)

    async def fetch(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries
    ) -> tuple[int, str | None, bytes]:
        """Makes a call and reads its response: status, refusal of the credential, body.

        Raises:
            OvhProxyError: no response, or the request could not be signed.
        """
        response = await self.calls.send(outgoing, signer, retries, Attempts())
        body = await response.incoming.read_all(_MAX_BODY)
        return response.incoming.head.status, response.refusal, body

    async def fetch_signed(
        self, method: str, path: str, profile: Profile, retries: Retries
    ) -> tuple[int, str | None, bytes]:
        """`fetch` for a request without a body, signed for a profile.

        Raises:
            OvhProxyError: no response, or the request could not be signed.
        """
        url, signer = profile.endpoint.base_url + path, self.signers.of(profile)
        text = signer.start(method, url)
        return await self.fetch(
            UpstreamRequest(method, url, _ACCEPT, signed_text=text), signer, retries
        )
