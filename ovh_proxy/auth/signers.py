"""Adds a profile's credential to a request: signature, bearer token, or nothing."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from ovh_proxy.auth.clock import Clock, Clocks
from ovh_proxy.auth.credential_states import CredentialStates, CredentialStatus
from ovh_proxy.auth.token_cache import CachedToken, TokenCache
from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.errors import NoCredential
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.messages import Headers, UpstreamRequest
from ovh_proxy.ovhcloud.oauth2 import bearer_header
from ovh_proxy.ovhcloud.signature import SignedText, application_header, key_headers, proof_headers


class Signer(Protocol):
    """A way to prove who calls."""

    def start(self, method: str, url: str) -> SignedText | None:
        """The text to feed the body to, or None where the body is not signed."""

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """The request with its proof, made anew at each call."""

    def is_stale(self, status: int, refusal: str | None) -> bool:
        """Looks at an answer: whether it calls the proof out of date."""

    async def renew(self) -> bool:
        """Drops a stale proof; whether another try makes sense."""


class ApplicationSigner:
    """Signs with application keys, by OVHcloud's clock."""

    def __init__(
        self,
        credential: ApplicationCredential,
        clock: Clock,
        known: CredentialStatus | None = None,
        constant: Headers | None = None,
    ) -> None:
        """
        Args:
            constant: `key_headers` of the credential, where they are at hand.
        """
        self._credential = credential
        self._clock = clock
        self._known = known or CredentialStatus()
        self._constant = key_headers(credential) if constant is None else constant
        self._answers_seen = 0

    def start(self, method: str, url: str) -> SignedText | None:
        return SignedText(self._credential, method, url)

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        assert outgoing.signed_text is not None, "start() gave the text that the body went into"
        timestamp = await self._clock.timestamp()
        self._answers_seen = self._clock.answers
        proof = proof_headers(outgoing.signed_text.signature(timestamp), timestamp)
        return outgoing.with_headers(self._constant + proof)

    def is_stale(self, status: int, refusal: str | None) -> bool:
        self._known.record(status, refusal)
        return refusal == "QUERY_TIME_OUT"

    async def renew(self) -> bool:
        return await self._clock.ask_again(self._answers_seen)


class ServiceAccountSigner:
    """Shows an OAuth2 access token that is renewed as needed."""

    def __init__(self, cached: CachedToken) -> None:
        self._cached = cached
        self._shown: Secret | None = None

    def start(self, method: str, url: str) -> SignedText | None:
        return None

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        self._shown = await self._cached.token()
        return outgoing.with_headers(bearer_header(self._shown))

    def is_stale(self, status: int, refusal: str | None) -> bool:
        return status == 401

    async def renew(self) -> bool:
        self._cached.forget(self._shown)
        return True


class FixedSigner:
    """Shows the same headers at each call: an access token, an application key, or nothing."""

    def __init__(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._headers = headers

    def start(self, method: str, url: str) -> SignedText | None:
        return None

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        return outgoing.with_headers(self._headers)

    def is_stale(self, status: int, refusal: str | None) -> bool:
        return False

    async def renew(self) -> bool:
        return False


UNSIGNED = FixedSigner(())


class Signers:
    """Gives each profile its signer; clocks and tokens outlive requests and reloads."""

    def __init__(
        self, clocks: Clocks, tokens: TokenCache, states: CredentialStates | None = None
    ) -> None:
        """
        Args:
            states: learn from the answers; None where nobody looks at them.
        """
        self._clocks = clocks
        self._tokens = tokens
        self._states = states or CredentialStates()

    def of(self, profile: Profile) -> Signer:
        """The signer of a profile, good for one request and its retries.

        Raises:
            NoCredential: there is no consumer key yet.
        """
        return self.maker(profile)()

    def maker(self, profile: Profile) -> Callable[[], Signer]:
        """What makes such signers, for as long as the settings are the same.

        Raises:
            NoCredential: there is no consumer key yet.
        """
        match profile.credential:
            case ApplicationCredential(consumer_key=None):
                raise NoCredential(
                    f"profile {profile.name} has no consumer key yet; "
                    f"run: ovh-proxy login --profile {profile.name}"
                )
            case ApplicationCredential() as credential:
                clock, known = self._clocks.of(profile.endpoint), self._states.of(profile)
                constant = key_headers(credential)
                return partial(ApplicationSigner, credential, clock, known, constant)
            case ServiceAccount() as account:
                return partial(ServiceAccountSigner, self._tokens.of(account))
            case AccessToken(access_token):
                return partial(FixedSigner, bearer_header(access_token))

    def of_application(self, profile: Profile) -> Signer:
        """Shows the application key alone, as `POST /auth/credential` wants it."""
        if isinstance(profile.credential, ApplicationCredential):
            return FixedSigner(application_header(profile.credential))
        return UNSIGNED
