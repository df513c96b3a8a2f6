"""What state each profile's credential is in, as far as OVHcloud has told."""

import time
from collections.abc import Callable, Iterable

from ovh_proxy.auth.clock import steady_time
from ovh_proxy.core.credentials import ApplicationCredential, Credential
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import CredentialState
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, Value

ASK_EVERY_S = 3600.0
# After a refused call, or a poll without a response, the next poll comes no sooner than this.
ASK_AGAIN_S = 60.0
VALID, PENDING, REFUSED, EXPIRED = "valid", "pending", "refused", "expired"
MISSING, UNKNOWN = "no consumer key", "unknown"
STATES = (VALID, PENDING, REFUSED, EXPIRED, MISSING, UNKNOWN)
# Source: `auth.CredentialStateEnum`.
_STATES_AT_OVHCLOUD = {
    "validated": VALID,
    "pendingValidation": PENDING,
    "refused": REFUSED,
    "expired": EXPIRED,
}
_REFUSALS = frozenset({"INVALID_KEY", "INVALID_SIGNATURE", "NOT_CREDENTIAL", "INVALID_CREDENTIAL"})


class CredentialStatus:
    """The state of one credential, as far as known.

    Attributes:
        key: its name in the shared cache.
        expires: seconds since the epoch; None if it never expires or that is unknown.
        is_endless: OVHcloud has said that it never expires.
        due_at: when to poll it next, by the steady clock: setting the wall clock back must not
            delay the poll.
    """

    __slots__ = (
        "_now",
        "_shared_cache",
        "_state",
        "_steady",
        "due_at",
        "expires",
        "is_endless",
        "key",
    )

    def __init__(
        self,
        state: str = UNKNOWN,
        now: Callable[[], float] = time.time,
        shared_cache: SharedCache = UNSHARED,
        key: str = "",
        steady: Callable[[], float] = steady_time,
    ) -> None:
        self._state = state
        self._now = now
        self._steady = steady
        self._shared_cache = shared_cache
        self.key = key
        self.expires: float | None = None
        self.is_endless = False
        self.due_at = 0.0
        shared_cache.subscribe(key, self.take)

    @property
    def state(self) -> str:
        """One of STATES."""
        if self._state == VALID and self.expires is not None and self.expires <= self._now():
            return EXPIRED
        return self._state

    def record(self, status: int, refusal: str | None) -> None:
        """Updates the state from the response to a call made with the credential."""
        if refusal in _REFUSALS:
            before = self._state, self.due_at
            # OVHcloud refuses pending and expired keys with INVALID_CREDENTIAL, like invalid ones.
            if self.state not in (PENDING, EXPIRED) or refusal != "INVALID_CREDENTIAL":
                self._state = REFUSED
            self.due_at = min(self.due_at, self._steady() + ASK_AGAIN_S)
            if before != (self._state, self.due_at):
                self._shared_cache.publish(self.key, self.value)
        elif self._state != VALID and (status < 400 or refusal == "NOT_GRANTED_CALL"):
            # The next poll learns the expiry, and whether the call is allowed for any key.
            self._state, self.expires, self.due_at = VALID, None, 0.0
            self._shared_cache.publish(self.key, self.value)

    def learn(self, seen: CredentialState) -> None:
        """Updates the state from `GET /auth/currentCredential`."""
        self._state = _STATES_AT_OVHCLOUD.get(seen.status, UNKNOWN)
        self.expires = None if seen.expiration is None else seen.expiration.timestamp()
        self.is_endless = seen.expiration is None

    @property
    def value(self) -> Value:
        """The whole state, for other processes."""
        return {
            "state": self._state,
            "expires": self.expires,
            "is_endless": self.is_endless,
            "due_at": self.due_at,
        }

    def take(self, value: Value) -> None:
        """Sets the state to one that another process has published."""
        self._state, self.expires = value["state"], value["expires"]
        self.is_endless, self.due_at = value["is_endless"], value["due_at"]


class CredentialStates:
    """One state per profile; it survives reloads that keep the credential."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        shared_cache: SharedCache = UNSHARED,
        steady: Callable[[], float] = steady_time,
    ) -> None:
        self._now = now
        self._shared_cache = shared_cache
        self._steady = steady
        self._known: dict[str, tuple[Credential, CredentialStatus]] = {}

    def of(self, profile: Profile) -> CredentialStatus:
        """The state of a profile's credential."""
        credential = profile.credential
        known = self._known.get(profile.name)
        # The identity check is fast and almost always true.
        if known is None or (known[0] is not credential and known[0] != credential):
            missing = isinstance(credential, ApplicationCredential) and not credential.consumer_key
            key = f"state {profile.name} {hash(credential)}"
            first = MISSING if missing else UNKNOWN
            state = CredentialStatus(first, self._now, self._shared_cache, key, self._steady)
            known = self._known[profile.name] = credential, state
        return known[1]

    def retain(self, profiles: Iterable[Profile]) -> None:
        """Drops the states of all other profiles."""
        self._known = {one.name: (one.credential, self.of(one)) for one in profiles}

    def due(self, profiles: Iterable[Profile]) -> list[Profile]:
        """The profiles whose consumer key should be polled now."""
        now = self._steady()
        return [
            profile
            for profile in profiles
            if isinstance(profile.credential, ApplicationCredential)
            and profile.credential.consumer_key is not None
            and self.of(profile).due_at <= now
        ]
