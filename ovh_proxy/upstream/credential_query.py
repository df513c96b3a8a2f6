"""Asks OVHcloud what state a consumer key is in."""

import asyncio
from collections.abc import Callable
from functools import partial

from ovh_proxy.auth.api_calls import ApiCalls
from ovh_proxy.auth.clock import steady_time
from ovh_proxy.auth.credential_states import (
    ASK_AGAIN_S,
    ASK_EVERY_S,
    CredentialStates,
    CredentialStatus,
)
from ovh_proxy.auth.signers import Signers
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.settings import Profile, Retries
from ovh_proxy.ovhcloud.auth_api import read_credential_state, refusal_of
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.ovhcloud.retry import Attempts
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, Value

_PATH = "/auth/currentCredential"
_HEADERS = ((b"Accept", b"application/json"),)
_ANSWER_S = 30.0
_MAX_BODY = 262_144


class CredentialPoller:
    """Keeps the states of consumer keys up to date; no request waits for it."""

    def __init__(
        self,
        states: CredentialStates,
        signers: Signers,
        calls: ApiCalls,
        shared_cache: SharedCache = UNSHARED,
        steady: Callable[[], float] = steady_time,
    ) -> None:
        self._states = states
        self._signers = signers
        self._calls = calls
        self._steady = steady
        self._shared_cache = shared_cache

    async def ask(self, profile: Profile) -> None:
        """Learns the state of a profile's key, or leaves it as it was."""
        known = self._states.of(profile)
        known.due_at = self._steady() + ASK_AGAIN_S
        known.take(await self._shared_cache.fetch(known.key, partial(self._learn, profile, known)))

    async def _learn(self, profile: Profile, known: CredentialStatus) -> Value:
        await self._find_out(profile, known)
        return known.value

    async def _find_out(self, profile: Profile, known: CredentialStatus) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                status, body = await self._answer(profile)
            if status == 200:
                known.learn(read_credential_state(body))
            elif refusal_of(status, body) is None:
                return  # no answer to what was asked; the signer has noted any that is
        except (OvhProxyError, TimeoutError, ValueError, RecursionError):
            return
        known.due_at = self._steady() + ASK_EVERY_S

    async def _answer(self, profile: Profile) -> tuple[int, bytes]:
        url = profile.endpoint.base_url + _PATH
        signer = self._signers.of(profile)
        outgoing = UpstreamRequest("GET", url, _HEADERS, signed_text=signer.start("GET", url))
        answer = await self._calls.send(outgoing, signer, Retries(attempts=1), Attempts())
        try:
            body = b"".join(await answer.incoming.read_up_to(_MAX_BODY))
        finally:
            answer.incoming.abandon()
        return answer.incoming.head.status, body
