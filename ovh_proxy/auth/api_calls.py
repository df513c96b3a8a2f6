"""Makes one API call as one profile: sign, send, retry."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from ovh_proxy.auth.signers import Signer
from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Retries
from ovh_proxy.ovhcloud.auth_api import refusal_of
from ovh_proxy.ovhcloud.messages import ResponseHead, UpstreamRequest, plain
from ovh_proxy.ovhcloud.retry import Attempts, is_worth_another, stated_wait, wait_before
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse

# An answer of these may refuse the credential; its body is looked at before it goes on.
_MAY_REFUSE = frozenset({400, 401, 403})

_MAX_LOOK = 16_384


@dataclass(slots=True)
class ApiResponse:
    """What came back of a call.

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
        """The answer to a call, signed anew at each attempt.

        Raises:
            OvhProxyError: no answer came, or no proof was to be had.
        """
        is_renewed = False
        while True:
            answer = await self._attempt(outgoing, signer, retries, attempts)
            if answer is None:
                continue
            head = answer.incoming.head
            is_stale = signer.is_stale(head.status, answer.refusal)
            if is_stale and not is_renewed and await _renew(signer, answer):
                is_renewed = True  # once: a second refusal is OVHcloud's word
                answer.incoming.abandon()
                continue
            wait = self._patience(outgoing, head, retries, attempts)
            if wait is None:
                return answer
            answer.incoming.abandon()
            await asyncio.sleep(wait)

    async def _attempt(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries, attempts: Attempts
    ) -> ApiResponse | None:
        attempts.count += 1
        attempts.is_out = False
        try:
            incoming = await self._pool.send(await signer.sign(outgoing), attempts.leave)
            may_refuse = incoming.head.status in _MAY_REFUSE
            return ApiResponse(incoming, await _refusal(incoming) if may_refuse else None)
        except UpstreamFailed as failure:
            # One that has not left is as safe as any: only time or token were asked for.
            is_safe = outgoing.is_safe or not attempts.is_out
            if not is_worth_another(failure, is_safe, attempts.count, retries):
                raise
            await asyncio.sleep(wait_before(attempts.count, self._jitter(), failure))
            return None

    @staticmethod
    def _patience(
        outgoing: UpstreamRequest, head: ResponseHead, retries: Retries, attempts: Attempts
    ) -> float | None:
        """Seconds after which to ask again, None where the answer goes on to the client."""
        if head.status not in retries.on_status:
            return None
        if not outgoing.is_safe or attempts.count >= retries.attempts:
            return None
        return stated_wait(head.header(b"retry-after"), head.header(b"date"))


async def _refusal(incoming: UpstreamResponse) -> str | None:
    head = incoming.head
    try:
        pieces = await incoming.read_up_to(_MAX_LOOK)
    except BaseException:
        incoming.abandon()
        raise
    incoming.unread(pieces)
    text = plain(b"".join(pieces), head.header(b"content-encoding"), _MAX_LOOK)
    return refusal_of(head.status, text)


async def _renew(signer: Signer, answer: ApiResponse) -> bool:
    try:
        return await signer.renew()
    except BaseException:
        answer.incoming.abandon()
        raise
