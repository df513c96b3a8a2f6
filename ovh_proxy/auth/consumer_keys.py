"""A consumer key at OVHcloud: asked for, looked at, revoked; its state polled."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self

from ovh_proxy.auth.api_calls import ApiClient
from ovh_proxy.auth.clock import steady_time
from ovh_proxy.auth.credential_states import ASK_AGAIN_S, ASK_EVERY_S, CredentialStatus
from ovh_proxy.auth.signers import UNSIGNED
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
from ovh_proxy.ovhcloud.messages import read_error
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, Value

_PATH = "/auth/currentCredential"
_TIMEOUT_S = 30.0


class CredentialPoller:
    """Polls the states of consumer keys in the background; no request waits for it."""

    def __init__(
        self,
        client: ApiClient,
        shared_cache: SharedCache = UNSHARED,
        steady: Callable[[], float] = steady_time,
    ) -> None:
        self._client = client
        self._steady = steady
        self._shared_cache = shared_cache

    async def poll(self, profile: Profile) -> None:
        """Updates the state of a profile's key; without a usable response it stays as it is."""
        status = self._client.states.of(profile)
        status.due_at = self._steady() + ASK_AGAIN_S
        status.take(
            await self._shared_cache.fetch(status.key, partial(self._fetch, profile, status))
        )

    async def _fetch(self, profile: Profile, status: CredentialStatus) -> Value:
        await self._update(profile, status)
        return status.value

    async def _update(self, profile: Profile, status: CredentialStatus) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                http_status, _, body = await self._client.fetch_signed(
                    "GET", _PATH, profile, Retries(attempts=1)
                )
            if http_status == 200:
                status.learn(read_credential_state(body))
            elif refusal_of(http_status, body) is None:
                return  # says nothing about the key; a refusal was recorded by the signer
        except (OvhProxyError, TimeoutError, ValueError, RecursionError):
            return
        status.due_at = self._steady() + ASK_EVERY_S


# The key no longer exists: revoked, expired, or never validated.
_GONE = frozenset({"NOT_CREDENTIAL", "INVALID_CREDENTIAL"})
GONE = CredentialState("gone", None, ())
_PENDING = CredentialState("pendingValidation", None, ())
_VALIDATED = CredentialState("validated", None, ())


class ConsumerKeys:
    """Requests, inspects and revokes consumer keys for one command; an async context."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._client = ApiClient(upstream, timeouts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._client.close()

    async def request(
        self,
        profile: Profile,
        rules: Iterable[AccessRule],
        redirection: str | None,
        allowed_ips: tuple[str, ...],
    ) -> NewKey:
        """A new consumer key for a profile with application keys.

        Raises:
            CommandFailed: OVHcloud refuses, or returns no key.
            OvhProxyError: OVHcloud could not be reached.
        """
        assert isinstance(profile.credential, ApplicationCredential)
        outgoing = credential_request(
            profile.endpoint, profile.credential, rules, redirection, allowed_ips
        )
        status, refusal, body = await self._client.fetch(outgoing, UNSIGNED, Retries())
        if status != 200:
            raise _refused("a consumer key", profile, status, refusal, body)
        try:
            return read_new_key(body)
        except (ValueError, RecursionError) as failure:
            raise CommandFailed(
                f"{profile.endpoint.name} returned no consumer key; check that the endpoint of "
                f"profile {profile.name} is an OVHcloud API"
            ) from failure

    async def look(self, profile: Profile) -> CredentialState:
        """The state of a profile's key; `GONE` if OVHcloud does not know it.

        Raises:
            CommandFailed: OVHcloud refuses the application, or the response is unusable.
            OvhProxyError: OVHcloud could not be reached.
        """
        status, refusal, body = await self._client.fetch_signed("GET", _PATH, profile, Retries())
        match refusal:
            case "INVALID_CREDENTIAL":  # the key is not validated yet
                return _PENDING
            case "NOT_CREDENTIAL":
                return GONE
            case "NOT_GRANTED_CALL":  # correctly signed, but the key's rules exclude this call
                return _VALIDATED
        try:
            if status == 200:
                return read_credential_state(body)
        except (ValueError, RecursionError):
            pass
        raise _refused("the state of the key", profile, status, refusal, body)

    async def revoke(self, profile: Profile) -> bool:
        """Revokes a profile's key; returns whether it still existed.

        Raises:
            CommandFailed: OVHcloud refuses.
            OvhProxyError: OVHcloud could not be reached.
        """
        status, refusal, body = await self._client.fetch_signed(
            "POST", "/auth/logout", profile, Retries()
        )
        if refusal == "NOT_GRANTED_CALL":
            raise CommandFailed(
                f"the consumer key of profile {profile.name} may not revoke itself: its rules do "
                "not include POST /auth/logout; revoke it in the OVHcloud Control Panel, then run "
                f"again: ovh-proxy logout --profile {profile.name}"
            )
        if refusal not in _GONE and status not in (200, 204):
            raise _refused("the logout", profile, status, refusal, body)
        return refusal not in _GONE


def _refused(
    what: str, profile: Profile, status: int, refusal: str | None, body: bytes
) -> CommandFailed:
    if refusal is not None:
        advice = hint(refusal, profile)
    else:
        # Errors contain no text from upstream except OVHcloud's error codes.
        code = read_error(body)[0]
        refusal = code if code and code.replace("_", "").isalnum() else str(status)
        advice = "check the requested rules and addresses" if status == 400 else None
    return CommandFailed(
        f"OVHcloud refuses {what} of profile {profile.name} ({refusal}); {advice or 'try again'}"
    )
