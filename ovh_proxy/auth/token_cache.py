"""One OAuth2 access token a service account, renewed before it expires."""

from collections.abc import Callable, Collection

from ovh_proxy.auth.clock import steady_time
from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.oauth2 import EARLY_S, read_token, token_request
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, SingleFlight, Value

_MAX_BODY = 65_536


class CachedToken:
    """The access token of one service account."""

    def __init__(
        self,
        pool: Pool,
        account: ServiceAccount,
        now: Callable[[], float] = steady_time,
        shared_cache: SharedCache = UNSHARED,
    ) -> None:
        self._pool = pool
        self._shared_cache = shared_cache
        self._key = f"token {hash(account)}"
        self._account = account
        self._now = now
        self._token: Secret | None = None
        self._good_until = 0.0
        self._ask = SingleFlight(self._find_out)
        shared_cache.subscribe(self._key, self._take)

    async def token(self) -> Secret:
        """A token that is good for at least ten seconds more, where the endpoint gives such.

        Raises:
            CredentialRefused: the token endpoint said no.
            UpstreamFailed: it could not be asked.
        """
        good = self._good()
        return await self._ask() if good is None else good

    def forget(self, refused: Secret | None) -> None:
        """Drops a token that OVHcloud refused, unless a newer one has come meanwhile."""
        if self._token == refused:
            self._token = None

    @property
    def last(self) -> Secret | None:
        return self._token

    @property
    def is_asking(self) -> bool:
        return self._ask.is_running

    async def close(self) -> None:
        await self._ask.stop()

    def _good(self) -> Secret | None:
        return self._token if self._now() < self._good_until else None

    async def _find_out(self) -> Secret:
        # Another process may have told it since it was missed here.
        good = self._good()
        return (
            self._take(await self._shared_cache.fetch(self._key, self._fetch))
            if good is None
            else good
        )

    def _take(self, value: Value) -> Secret:
        self._token = token = Secret(value["access_token"])
        self._good_until = value["good_until"]
        return token

    async def _fetch(self) -> Value:
        asked_at = self._now()
        incoming = await self._pool.send(token_request(self._account))
        body = await incoming.read_all(_MAX_BODY)
        token = read_token(incoming.head.status, body)
        return {
            "access_token": token.access_token.reveal(),
            "good_until": asked_at + token.lifetime - EARLY_S,
        }


class TokenCache:
    """The tokens of all service accounts; a reload that leaves an account alone keeps its token."""

    def __init__(
        self,
        pool: Pool,
        now: Callable[[], float] = steady_time,
        shared_cache: SharedCache = UNSHARED,
    ) -> None:
        self._pool, self._now, self._shared_cache = pool, now, shared_cache
        self._tokens: dict[ServiceAccount, CachedToken] = {}

    def of(self, account: ServiceAccount) -> CachedToken:
        """The cached token of an account."""
        cached = self._tokens.get(account)
        if cached is None:
            cached = self._tokens[account] = CachedToken(
                self._pool, account, self._now, self._shared_cache
            )
        return cached

    def retain(self, accounts: Collection[ServiceAccount]) -> None:
        """Drops the tokens of all others; one that is being asked for goes the next time."""
        for account in [*self._tokens]:
            if account not in accounts and not self._tokens[account].is_asking:
                del self._tokens[account]

    async def close(self) -> None:
        for cached in self._tokens.values():
            await cached.close()
