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
        self._valid_until = 0.0
        self._fetching = SingleFlight(self._update)
        shared_cache.subscribe(self._key, self._take)

    async def token(self) -> Secret:
        """A token that is valid for at least ten more seconds, if the endpoint issues such tokens.

        Raises:
            CredentialRefused: the token endpoint refused.
            UpstreamFailed: the token endpoint could not be reached.
        """
        token = self._valid_token()
        return await self._fetching() if token is None else token

    def forget(self, refused: Secret | None) -> None:
        """Drops a token that OVHcloud refused, unless it was already replaced by a newer one."""
        if self._token == refused:
            self._token = None

    @property
    def last(self) -> Secret | None:
        return self._token

    @property
    def is_fetching(self) -> bool:
        return self._fetching.is_running

    async def close(self) -> None:
        await self._fetching.stop()

    def _valid_token(self) -> Secret | None:
        return self._token if self._now() < self._valid_until else None

    async def _update(self) -> Secret:
        # Another process may have published one in the meantime.
        token = self._valid_token()
        if token is not None:
            return token
        return self._take(await self._shared_cache.fetch(self._key, self._fetch))

    def _take(self, value: Value) -> Secret:
        self._token = token = Secret(value["access_token"])
        self._valid_until = value["good_until"]
        return token

    async def _fetch(self) -> Value:
        requested_at = self._now()
        incoming = await self._pool.send(token_request(self._account))
        body = await incoming.read_all(_MAX_BODY)
        token = read_token(incoming.head.status, body)
        return {
            "access_token": token.access_token.reveal(),
            "good_until": requested_at + token.lifetime - EARLY_S,
        }


class TokenCache:
    """The tokens of all service accounts; they survive reloads that keep the account."""

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
        """Drops the tokens of all other accounts; one that is being fetched is dropped later."""
        for account in [*self._tokens]:
            if account not in accounts and not self._tokens[account].is_fetching:
                del self._tokens[account]

    async def close(self) -> None:
        for cached in self._tokens.values():
            await cached.close()
