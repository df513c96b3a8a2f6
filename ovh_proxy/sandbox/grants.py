"""What it remembers: applications, consumer keys, their access rules, tokens."""

import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

# Source: `auth.HTTPMethodEnum` of OVHcloud's schema.
RULE_METHODS = ("GET", "POST", "PUT", "DELETE")
Rule = tuple[str, str]  # method, path pattern
EVERYTHING: tuple[Rule, ...] = tuple((method, "/*") for method in RULE_METHODS)


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern, in which `*` matches anything, slashes included."""
    pieces = (re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(".*".join(pieces), path, re.DOTALL) is not None


def grants(rules: Iterable[Rule], method: str, path: str) -> bool:
    """Whether one of the rules grants the call.

    GET grants HEAD. Methods that rules cannot name (PATCH, OPTIONS) need any rule for the path.
    """
    wanted = "GET" if method == "HEAD" else method
    return any(
        matches(pattern, path) and (wanted == granted or wanted not in RULE_METHODS)
        for granted, pattern in rules
    )


STATES = ("pendingValidation", "validated", "refused", "expired")


@dataclass(frozen=True, slots=True)
class Application:
    """A program that can request consumer keys."""

    application_key: str
    application_secret: str
    name: str = "ovh-proxy sandbox"
    application_id: int = 38683


@dataclass(frozen=True, slots=True)
class ConsumerKey:
    """A user's grant to an application.

    Attributes:
        state: one of `STATES`; a validated key past its `expiration` counts as expired.
        validation_token: identifies the page on which the user validates or refuses.
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
        """The state at a time in seconds since the epoch."""
        is_over = self.expiration is not None and self.expiration.timestamp() <= now
        return "expired" if is_over and self.state == "validated" else self.state


def utc_datetime(timestamp: float) -> datetime:
    """Seconds since the epoch as an aware datetime."""
    return datetime.fromtimestamp(timestamp, UTC).replace(microsecond=0)


# Made-up credentials in the format of real ones; every Grants() starts with them.
APPLICATION_KEY = "7kbG7Bk7S9Nt7ZSV"
APPLICATION_SECRET = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"  # noqa: S105 - made up
CONSUMER_KEY = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"
CLIENT_ID = "EU.3f9c2b71d80e46a5"
CLIENT_SECRET = "b7f0c1de92a84563b1e6f47a0d3c58f2"  # noqa: S105 - made up
ACCESS_TOKEN = "eyJhbGciOiJFZERTQSJ9.c2FuZGJveC1wZXJzb25hbC1hY2Nlc3M.Yb4nQ0Wm7TzKx2"  # noqa: S105 - made up


class Grants:
    """Applications, consumer keys, service accounts and access tokens, in memory.

    Attributes:
        applications: by application key.
        consumer_keys: by consumer key.
        service_accounts: client secrets by client ID.
        access_tokens: the expiry of each token, in seconds since the epoch; None is never.
        token_owners: the client ID that a token was issued to; personal tokens have none.
        token_lifetime: of tokens issued from now on, in seconds.
    """

    def __init__(
        self,
        *,
        application_key: str = APPLICATION_KEY,
        application_secret: str = APPLICATION_SECRET,
        consumer_key: str = CONSUMER_KEY,
        rules: tuple[Rule, ...] = EVERYTHING,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        access_token: str = ACCESS_TOKEN,
    ) -> None:
        self.applications: dict[str, Application] = {}
        self.consumer_keys: dict[str, ConsumerKey] = {}
        self.service_accounts = {client_id: client_secret}
        self.access_tokens: dict[str, float | None] = {access_token: None}
        self.token_owners: dict[str, str] = {}
        self.token_lifetime: float = 3599
        self.add_application(Application(application_key, application_secret))
        self.add_consumer_key(consumer_key, application_key=application_key, rules=rules)

    def add_application(self, application: Application) -> None:
        """Adds an application."""
        self.applications[application.application_key] = application

    def add_consumer_key(
        self,
        consumer_key: str,
        *,
        application_key: str = APPLICATION_KEY,
        state: str = "validated",
        rules: tuple[Rule, ...] = EVERYTHING,
        now: float = 1_600_000_000.0,
        redirection: str | None = None,
        allowed_ips: tuple[str, ...] | None = None,
    ) -> ConsumerKey:
        """Adds a consumer key, which never expires unless `expire_at` is called."""
        added = ConsumerKey(
            consumer_key,
            application_key,
            state,
            rules,
            credential_id=116223292 + len(self.consumer_keys),
            creation=utc_datetime(now),
            validation_token=random_text(64),
            redirection=redirection,
            allowed_ips=allowed_ips,
        )
        self.consumer_keys[consumer_key] = added
        return added

    def set_state(self, consumer_key: str, state: str) -> None:
        """Sets the state of a key to one of `STATES`."""
        if state not in STATES:
            raise ValueError(f"unknown state {state!r}; use one of {', '.join(STATES)}")
        self._change(consumer_key, state=state)

    def expire_at(self, consumer_key: str, timestamp: float | None) -> None:
        """Sets the expiry of a key; None is never."""
        self._change(
            consumer_key, expiration=None if timestamp is None else utc_datetime(timestamp)
        )

    def set_rules(self, consumer_key: str, rules: tuple[Rule, ...]) -> None:
        """Replaces the rules of a key."""
        self._change(consumer_key, rules=rules)

    def touch(self, consumer_key: str, now: float) -> None:
        """Records the last use of a key."""
        self._change(consumer_key, last_use=utc_datetime(now))

    def revoke(self, consumer_key: str) -> None:
        """Deletes a key."""
        del self.consumer_keys[consumer_key]

    def pending(self, validation_token: str) -> ConsumerKey | None:
        """The pending key with this validation token, or None."""
        return next(
            (
                key
                for key in self.consumer_keys.values()
                if key.validation_token == validation_token and key.state == "pendingValidation"
            ),
            None,
        )

    def validate(self, consumer_key: str, now: float, seconds: float | None = None) -> None:
        """Validates a key for some seconds, or without limit."""
        self.expire_at(consumer_key, None if seconds is None else now + seconds)
        self.set_state(consumer_key, "validated")

    def issue_token(self, client_id: str, now: float) -> str:
        """A new access token for a service account."""
        token = f"sandbox.{random_text(48)}"
        self.access_tokens[token] = now + self.token_lifetime
        self.token_owners[token] = client_id
        return token

    def forget_tokens(self) -> None:
        """Revokes all tokens of service accounts; personal tokens stay valid."""
        for token in self.token_owners:
            self.access_tokens.pop(token, None)
        self.token_owners.clear()

    def is_token(self, token: str, now: float) -> bool:
        """Whether the token is known and has not expired."""
        expires = self.access_tokens.get(token, 0.0)
        return expires is None or now < expires

    def _change(self, consumer_key: str, **changes: object) -> None:
        # Callers pass fields of ConsumerKey, each with a value of its type.
        changed = replace(self.consumer_keys[consumer_key], **changes)  # type: ignore[arg-type] # one type for all of **
        self.consumer_keys[consumer_key] = changed


def random_text(length: int) -> str:
    """Random letters and digits, like OVHcloud's keys."""
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(length))
