"""Makes one API call as one profile: sign, send, and again where that helps."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from ovh_proxy.core.auth_api import refusal_of
from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.messages import UpstreamRequest, plain
from ovh_proxy.core.retry import is_worth_another, stated_wait, wait_before
from ovh_proxy.core.settings import Retries
from ovh_proxy.upstream.incoming import Incoming
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.signers import Signer

# An answer of these may refuse the credential; its body is looked at before it goes on.
_MAY_REFUSE = frozenset({400, 401, 403})
_MAX_LOOK = 16_384


@dataclass(slots=True)
class Attempts:
    """How often a call was tried; there for the log when the call fails as well."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a call.

    Attributes:
        refusal: the code by which OVHcloud refuses the credential itself, or None.
    """

    incoming: Incoming
    refusal: str | None


class Calls:
    """Sends signed requests over the pool."""

    def __init__(self, pool: Pool, jitter: Callable[[], float] = random.random) -> None:
        self._pool = pool
        self._jitter = jitter

    async def send(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries, attempts: Attempts
    ) -> Answer:
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
            if not is_renewed and await _renew(signer, answer):
                is_renewed = True  # once: a second refusal is OVHcloud's word
                answer.incoming.abandon()
            elif self._is_waited_for(outgoing, head.status, retries, attempts):
                answer.incoming.abandon()
                await asyncio.sleep(stated_wait(head.header(b"retry-after")))
            else:
                return answer

    async def _attempt(
        self, outgoing: UpstreamRequest, signer: Signer, retries: Retries, attempts: Attempts
    ) -> Answer | None:
        signed = await signer.sign(outgoing)
        attempts.count += 1
        try:
            return await self._answer(signed)
        except UpstreamFailed as failure:
            if not is_worth_another(failure, outgoing.is_safe, attempts.count, retries):
                raise
            await asyncio.sleep(wait_before(attempts.count, self._jitter(), failure))
            return None

    async def _answer(self, signed: UpstreamRequest) -> Answer:
        incoming = await self._pool.send(signed)
        try:
            return Answer(incoming, await self._refusal(incoming))
        except BaseException:
            incoming.abandon()
            raise

    async def _refusal(self, incoming: Incoming) -> str | None:
        head = incoming.head
        if head.status not in _MAY_REFUSE:
            return None
        pieces = await incoming.read_up_to(_MAX_LOOK)
        incoming.unread(pieces)
        text = plain(b"".join(pieces), head.header(b"content-encoding"), _MAX_LOOK)
        return refusal_of(head.status, text)

    @staticmethod
    def _is_waited_for(
        outgoing: UpstreamRequest, status: int, retries: Retries, attempts: Attempts
    ) -> bool:
        return (
            status in retries.on_status and outgoing.is_safe and attempts.count < retries.attempts
        )


async def _renew(signer: Signer, answer: Answer) -> bool:
    try:
        return await signer.renew(answer.incoming.head.status, answer.refusal)
    except BaseException:
        answer.incoming.abandon()
        raise
