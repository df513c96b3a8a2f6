"""A consumer key at OVHcloud: asked for, looked at, revoked; its state polled."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType

from ovh_proxy.auth.api_calls import ApiCalls
from ovh_proxy.auth.clock import Clocks, steady_time
from ovh_proxy.auth.credential_states import (
    ASK_AGAIN_S,
    ASK_EVERY_S,
    CredentialStates,
    CredentialStatus,
)
from ovh_proxy.auth.signers import UNSIGNED, Signer, Signers
from ovh_proxy.auth.token_cache import TokenCache
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import CommandFailed, OvhProxyError
from ovh_proxy.core.settings import Profile, Retries, Timeouts, Upstream
from ovh_proxy.ovhcloud.auth_api import (
    CredentialState,
    NewKey,
    credential_request,
    hint,
    read_credential_state,
    read_new_key,
    refusal_of,
)
from ovh_proxy.ovhcloud.messages import UpstreamRequest, read_error
from ovh_proxy.ovhcloud.retry import Attempts
from ovh_proxy.upstream.pool import Pool
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


_JSON = ((b"Accept", b"application/json"),)

# Of a key that is not there any more: revoked, expired, or never validated.
_GONE = frozenset({"NOT_CREDENTIAL", "INVALID_CREDENTIAL"})

GONE = CredentialState("gone", None, ())

_PENDING = CredentialState("pendingValidation", None, ())

_VALIDATED = CredentialState("validated", None, ())


class ConsumerKeys:
    """OVHcloud's auth calls for one command; an async context that closes what it opened."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._pool = Pool(upstream, timeouts)
        self._clocks, self._tokens = Clocks(self._pool), TokenCache(self._pool)
        self._signers = Signers(self._clocks, self._tokens)
        self._calls = ApiCalls(self._pool)

    async def __aenter__(self) -> "ConsumerKeys":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._clocks.close()
        await self._tokens.close()
        await self._pool.close()

    async def request(
        self,
        profile: Profile,
        rules: Iterable[AccessRule],
        redirection: str | None,
        allowed_ips: tuple[str, ...],
    ) -> NewKey:
        """A new key for a profile of application keys.

        Raises:
            CommandFailed: OVHcloud does not give one.
            OvhProxyError: it could not be asked.
        """
        assert isinstance(profile.credential, ApplicationCredential)
        outgoing = credential_request(
            profile.endpoint, profile.credential, rules, redirection, allowed_ips
        )
        status, refusal, body = await self._send(outgoing, UNSIGNED)
        if status != 200:
            raise _refused("a consumer key", profile, status, refusal, body)
        try:
            return read_new_key(body)
        except (ValueError, RecursionError) as failure:
            raise CommandFailed(
                f"{profile.endpoint.name} answered with no consumer key; is it an OVHcloud API?"
            ) from failure

    async def look(self, profile: Profile) -> CredentialState:
        """The state of a profile's key, `GONE` for one that OVHcloud does not know.

        Raises:
            CommandFailed: OVHcloud refuses the application, or answers what we do not know.
            OvhProxyError: it could not be asked.
        """
        outgoing, signer = self._signed("GET", "/auth/currentCredential", profile)
        status, refusal, body = await self._send(outgoing, signer)
        match refusal:
            case "INVALID_CREDENTIAL":  # of a key that is not validated yet
                return _PENDING
            case "NOT_CREDENTIAL":
                return GONE
            case "NOT_GRANTED_CALL":  # the proof was good; its rules are another's
                return _VALIDATED
        try:
            if status == 200:
                return read_credential_state(body)
        except (ValueError, RecursionError):
            pass
        raise _refused("the state of the key", profile, status, refusal, body)

    async def revoke(self, profile: Profile) -> bool:
        """Ends a profile's key for everyone; whether it was still there.

        Raises:
            CommandFailed: OVHcloud refuses it.
            OvhProxyError: it could not be asked.
        """
        outgoing, signer = self._signed("POST", "/auth/logout", profile)
        status, refusal, body = await self._send(outgoing, signer)
        if refusal == "NOT_GRANTED_CALL":
            raise CommandFailed(
                f"the key of profile {profile.name} may not revoke itself: its rules leave "
                "POST /auth/logout out; revoke it in OVHcloud's control panel, then logout again"
            )
        if refusal not in _GONE and status not in (200, 204):
            raise _refused("the logout", profile, status, refusal, body)
        return refusal not in _GONE

    def _signed(self, method: str, path: str, profile: Profile) -> tuple[UpstreamRequest, Signer]:
        signer, url = self._signers.of(profile), profile.endpoint.base_url + path
        text = signer.start(method, url)
        return UpstreamRequest(method, url, _JSON, signed_text=text), signer

    async def _send(
        self, outgoing: UpstreamRequest, signer: Signer
    ) -> tuple[int, str | None, bytes]:
        answer = await self._calls.send(outgoing, signer, Retries(), Attempts())
        try:
            body = b"".join(await answer.incoming.read_up_to(_MAX_BODY))
        finally:
            answer.incoming.abandon()
        return answer.incoming.head.status, answer.refusal, body


def _refused(
    what: str, profile: Profile, status: int, refusal: str | None, body: bytes
) -> CommandFailed:
    if refusal is not None:
        advice = hint(refusal, profile)
    else:
        # Upstream texts stay out of errors, but for its codes, which are words of its own.
        code = read_error(body)[0]
        refusal = code if code and code.replace("_", "").isalnum() else str(status)
        advice = "see the rules and addresses that were asked for" if status == 400 else None
    return CommandFailed(
        f"OVHcloud refuses {what} of profile {profile.name} ({refusal}); {advice or 'try again'}"
    )
