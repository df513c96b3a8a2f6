"""What state each profile's credential is in, as far as OVHcloud has told."""

import time
from collections.abc import Callable, Iterable

from ovh_proxy.auth.clock import steady_time
from ovh_proxy.core.credentials import ApplicationCredential, Credential
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import CredentialState
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, Value

ASK_EVERY_S = 3600.0
# A refusal on the way, or a question that got no answer, is followed up at most this often.
ASK_AGAIN_S = 60.0

VALID, PENDING, REFUSED, EXPIRED = "valid", "pending", "refused", "expired"
MISSING, UNKNOWN = "no consumer key", "unknown"
STATES = (VALID, PENDING, REFUSED, EXPIRED, MISSING, UNKNOWN)

# Source: `auth.CredentialStateEnum`.
_TOLD = {"validated": VALID, "pendingValidation": PENDING, "refused": REFUSED, "expired": EXPIRED}
_REFUSALS = frozenset({"INVALID_KEY", "INVALID_SIGNATURE", "NOT_CREDENTIAL", "INVALID_CREDENTIAL"})


class CredentialStatus:
    """What is known of one credential.

    Attributes:
        key: what other processes that serve know it by.
        expires: seconds since the epoch; None where it does not end, or is not known to.
        is_endless: OVHcloud has said that it does not end.
        due_at: when it is to be asked about, by the steady clock: a step of the wall clock back
            would put the question off for as long.
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
        """Learns from the answer to a call that was made with it."""
        if refusal in _REFUSALS:
            before = self._state, self.due_at
            # Of a key that is pending or expired OVHcloud says no more than that it is not valid.
            if self.state not in (PENDING, EXPIRED) or refusal != "INVALID_CREDENTIAL":
                self._state = REFUSED
            self.due_at = min(self.due_at, self._steady() + ASK_AGAIN_S)
            if before != (self._state, self.due_at):
                self._shared_cache.publish(self.key, self.value)
        elif self._state != VALID and (status < 400 or refusal == "NOT_GRANTED_CALL"):
            # Until when, the next question tells; it also knows if the call passed for any key.
            self._state, self.expires, self.due_at = VALID, None, 0.0
            self._shared_cache.publish(self.key, self.value)

    def learn(self, told: CredentialState) -> None:
        """Takes what OVHcloud says of it."""
        self._state = _TOLD.get(told.status, UNKNOWN)
        self.expires = None if told.expiration is None else told.expiration.timestamp()
        self.is_endless = told.expiration is None

    @property
    def value(self) -> Value:
        """All of it, for another process."""
        return {
            "state": self._state,
            "expires": self.expires,
            "is_endless": self.is_endless,
            "due_at": self.due_at,
        }

    def take(self, value: Value) -> None:
        """Knows what another process has found out."""
        self._state, self.expires = value["state"], value["expires"]
        self.is_endless, self.due_at = value["is_endless"], value["due_at"]


class CredentialStates:
    """One state a profile; a reload that leaves its credential alone keeps it."""

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
        """What is known of a profile's credential."""
        credential = profile.credential
        known = self._known.get(profile.name)
        # Nearly always the very same one, and that is told at once.
        if known is None or (known[0] is not credential and known[0] != credential):
            missing = isinstance(credential, ApplicationCredential) and not credential.consumer_key
            key = f"state {profile.name} {hash(credential)}"
            first = MISSING if missing else UNKNOWN
            state = CredentialStatus(first, self._now, self._shared_cache, key, self._steady)
            known = self._known[profile.name] = credential, state
        return known[1]

    def retain(self, profiles: Iterable[Profile]) -> None:
        """Forgets all others."""
        self._known = {one.name: (one.credential, self.of(one)) for one in profiles}

    def due(self, profiles: Iterable[Profile]) -> list[Profile]:
        """Those whose consumer key is to be asked about now."""
        now = self._steady()
        return [
            profile
            for profile in profiles
            if isinstance(profile.credential, ApplicationCredential)
            and profile.credential.consumer_key is not None
            and self.of(profile).due_at <= now
        ]
