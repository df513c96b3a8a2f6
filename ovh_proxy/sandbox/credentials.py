"""An application and a consumer key, as the sandbox knows them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ovh_proxy.sandbox.rules import Rule

STATES = ("pendingValidation", "validated", "refused", "expired")


@dataclass(frozen=True, slots=True)
class Application:
    """A program that may ask for consumer keys."""

    application_key: str
    application_secret: str
    name: str = "ovh-proxy sandbox"
    application_id: int = 38683


@dataclass(frozen=True, slots=True)
class ConsumerKey:
    """What a user has granted to an application.

    Attributes:
        state: one of `STATES`; a validated key whose `expiration` has passed counts as expired.
        validation_token: opens the page on which the user validates or refuses.
    """

    consumer_key: str
    application_key: str
    state: str
    rules: tuple[Rule, ...]
    credential_id: int
    creation: datetime
    validation_token: str
    expiration: datetime | None = None
    last_use: datetime | None = None
    redirection: str | None = None
    allowed_ips: tuple[str, ...] | None = None

    def state_at(self, now: float) -> str:
        """The state at that moment, in seconds since the epoch."""
        is_over = self.expiration is not None and self.expiration.timestamp() <= now
        return "expired" if is_over and self.state == "validated" else self.state


def moment(timestamp: float) -> datetime:
    """Seconds since the epoch as a time that prints with its zone."""
    return datetime.fromtimestamp(timestamp, UTC).replace(microsecond=0)
