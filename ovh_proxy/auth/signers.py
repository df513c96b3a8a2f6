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
    """Adds one kind of credential to requests."""

    def start(self, method: str, url: str) -> SignedText | None:
        """The text to sign, to which the body is added; None if the body is not signed."""

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        """The request with the credential's headers, newly made at each call."""

    def is_stale(self, status: int, refusal: str | None) -> bool:
        """Whether a response says that the timestamp or token is outdated."""

    async def renew(self) -> bool:
        """Replaces the outdated timestamp or token; returns whether a retry makes sense."""


class ApplicationSigner:
    """Signs with application keys, by OVHcloud's clock."""

    def __init__(
        self,
        credential: ApplicationCredential,
        clock: Clock,
        status: CredentialStatus | None = None,
        constant: Headers | None = None,
    ) -> None:
        """
        Args:
            constant: `key_headers` of the credential, if already computed.
        """
        self._credential = credential
        self._clock = clock
        self._status = status or CredentialStatus()
        self._constant = key_headers(credential) if constant is None else constant
        self._updates_seen = 0

    def start(self, method: str, url: str) -> SignedText | None:
        return SignedText(self._credential, method, url)

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        assert outgoing.signed_text is not None, "callers begin with start()"
        timestamp = await self._clock.timestamp()
        self._updates_seen = self._clock.updates
        proof = proof_headers(outgoing.signed_text.signature(timestamp), timestamp)
        return outgoing.with_headers(self._constant + proof)

    def is_stale(self, status: int, refusal: str | None) -> bool:
        self._status.record(status, refusal)
        return refusal == "QUERY_TIME_OUT"

    async def renew(self) -> bool:
        return await self._clock.refresh(self._updates_seen)


class ServiceAccountSigner:
    """Sends an OAuth2 access token that is renewed as needed."""

    def __init__(self, cached: CachedToken) -> None:
        self._cached = cached
        self._sent: Secret | None = None

    def start(self, method: str, url: str) -> SignedText | None:
        return None

    async def sign(self, outgoing: UpstreamRequest) -> UpstreamRequest:
        self._sent = await self._cached.token()
        return outgoing.with_headers(bearer_header(self._sent))

    def is_stale(self, status: int, refusal: str | None) -> bool:
        return status == 401

    async def renew(self) -> bool:
        self._cached.forget(self._sent)
        return True


class FixedSigner:
    """Sends the same headers at each call: an access token, an application key, or nothing."""

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
    """Makes the signer of each profile; clocks and tokens outlive requests and reloads."""

    def __init__(
        self, clocks: Clocks, tokens: TokenCache, states: CredentialStates | None = None
    ) -> None:
        """
        Args:
            states: updated from responses; None if nobody reads them.
        """
        self._clocks = clocks
        self._tokens = tokens
        self._states = states or CredentialStates()

    def of(self, profile: Profile) -> Signer:
        """The signer of a profile, for one request and its retries.

        Raises:
            NoCredential: there is no consumer key yet.
        """
        return self.maker(profile)()

    def maker(self, profile: Profile) -> Callable[[], Signer]:
        """A function that makes such signers, usable until the settings change.

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
                clock, status = self._clocks.of(profile.endpoint), self._states.of(profile)
                constant = key_headers(credential)
                return partial(ApplicationSigner, credential, clock, status, constant)
            case ServiceAccount() as account:
                return partial(ServiceAccountSigner, self._tokens.of(account))
            case AccessToken(access_token):
                return partial(FixedSigner, bearer_header(access_token))

    def of_application(self, profile: Profile) -> Signer:
        """A signer that sends only the application key, as `POST /auth/credential` requires."""
        if isinstance(profile.credential, ApplicationCredential):
            return FixedSigner(application_header(profile.credential))
        return UNSIGNED
