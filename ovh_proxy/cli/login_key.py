"""One consumer key: requested, waited for, kept."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ovh_proxy.auth.consumer_keys import ConsumerKeys
from ovh_proxy.cli.login_callback import return_page
from ovh_proxy.cli.login_input import Account, application_keys
from ovh_proxy.cli.options import in_short
from ovh_proxy.cli.terminal import safe, say
from ovh_proxy.config.keyring import SERVICE, require_keyring
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.errors import ClockUnknown, UpstreamFailed, UsageError
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Timeouts, Upstream
from ovh_proxy.credential_store.pending_keys import (
    PendingKey,
    delete_pending,
    pending_path,
    read_pending,
    write_pending,
)
from ovh_proxy.credential_store.writer import StoreWriter, Value, require_writable
from ovh_proxy.ovhcloud.auth_api import CredentialState

INTERVAL_S = 2.0
# A key that was just created or validated is not known to all of OVHcloud's servers at once.
_MAX_LOOKS = 3
UNVALIDATED = CredentialState("unvalidated", None, ())
"""The browser came back, but the key is still not valid. OVHcloud gives the same response for
pending keys and for refused keys."""

_PENDING_TEXTS = {
    "pendingValidation": "waiting for you to validate the key",
    "unreachable": "cannot reach OVHcloud; trying again",
    "gone": "OVHcloud does not know the key yet",
}


@dataclass(slots=True)
class Progress:
    """The last known status of the key, as a line for the terminal.

    Attributes:
        deadline: on the clock of `now`.
    """

    deadline: float
    now: Callable[[], float]
    status: str = "pendingValidation"

    def line(self) -> str:
        left = in_short(self.deadline - self.now())
        return f"{_PENDING_TEXTS.get(self.status, self.status)} ({left} left; Ctrl-C keeps the key)"


async def wait_for_validation(
    consumer_keys: ConsumerKeys,
    profile: Profile,
    came_back: asyncio.Event,
    timeout_s: float,
    interval_s: float = INTERVAL_S,
    now: Callable[[], float] = time.monotonic,
) -> CredentialState | None:
    """The state of the key once it is decided; None on timeout.

    Args:
        came_back: set when the browser came back, to look before the interval is over.

    Raises:
        CommandFailed: OVHcloud rejects the application keys.
    """
    progress, gone, undecided = Progress(now() + timeout_s, now), 0, 0
    with _displayed(progress):
        while True:
            state = await _look(consumer_keys, profile, progress)
            gone = gone + 1 if progress.status == "gone" else 0
            if state and (progress.status not in _PENDING_TEXTS or gone == _MAX_LOOKS):
                return state
            if undecided == _MAX_LOOKS:
                return UNVALIDATED
            left = progress.deadline - now()
            if left <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came_back.wait(), min(interval_s, left))
            if came_back.is_set() or undecided:
                undecided += 1
            came_back.clear()


async def _look(
    consumer_keys: ConsumerKeys, profile: Profile, progress: Progress
) -> CredentialState | None:
    try:
        state = await consumer_keys.look(profile)
    except (UpstreamFailed, ClockUnknown):
        progress.status = "unreachable"
        return None
    progress.status = state.status
    return state


@contextlib.contextmanager
def _displayed(progress: Progress) -> Iterator[None]:
    """Shows the progress: a line that is updated on a terminal, one plain line elsewhere."""
    if not sys.stderr.isatty():
        say(progress.line())
        yield
        return
    # Imported here: slower than most commands.
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots")

    def render() -> Spinner:
        spinner.update(text=progress.line())
        return spinner

    console = Console(stderr=True, highlight=False)
    with Live(get_renderable=render, console=console, refresh_per_second=8, transient=True):
        yield


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What to request from OVHcloud, and how long to wait.

    Attributes:
        redirect: where the browser goes after validation; None for our own page.
        open_page: opens the validation page; returns whether that was possible.
    """

    profile: Profile
    rules: tuple[AccessRule, ...]
    allowed_ips: tuple[str, ...]
    redirect: str | None
    timeout_s: float
    open_page: Callable[[str], bool]
    interval_s: float = INTERVAL_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a login.

    Attributes:
        state: None on timeout.
        rules: those of the key if known, else those that were requested.
    """

    consumer_key: Secret
    validation_url: str
    state: CredentialState | None
    rules: tuple[str, ...]

    @property
    def is_validated(self) -> bool:
        return self.state is not None and self.state.status == "validated"


async def request_key(
    key_request: KeyRequest,
    pending: PendingKey | None,
    save_pending: Callable[[PendingKey], None],
    connection: tuple[Upstream, Timeouts],
) -> Outcome:
    """Requests a key, or resumes a pending one, and waits for its validation.

    Args:
        save_pending: called with a new key before the user sees it, so that no interruption
            loses the key.

    Raises:
        CommandFailed: OVHcloud rejects the request.
        OvhProxyError: OVHcloud cannot be reached.
    """
    port = None if key_request.redirect else pending.port or None if pending else 0
    async with ConsumerKeys(*connection) as consumer_keys, return_page(port) as page:
        if pending is None:
            redirect = key_request.redirect or page.url
            new = await consumer_keys.request(
                key_request.profile, key_request.rules, redirect, key_request.allowed_ips
            )
            rules = tuple(map(str, key_request.rules))
            base_url = key_request.profile.endpoint.base_url
            pending = PendingKey(base_url, new.consumer_key, new.validation_url, rules, page.port)
            save_pending(pending)
        _show_page(pending, key_request)
        credential = replace(
            application_keys(key_request.profile), consumer_key=pending.consumer_key
        )
        profile = replace(key_request.profile, credential=credential)
        state = await wait_for_validation(
            consumer_keys, profile, page.came_back, key_request.timeout_s, key_request.interval_s
        )
        if state is not None and key_request.redirect is None:
            await page.wait_for_browser()
    rules = (state and state.rules) or pending.rules
    return Outcome(pending.consumer_key, pending.validation_url, state, rules)


def _show_page(pending: PendingKey, key_request: KeyRequest) -> None:
    say("Log in to OVHcloud on this page and validate the key, which allows:")
    for rule in pending.rules:
        say(f"  {safe(rule)}")
    say()
    say(f"  {pending.validation_url}")
    say()
    if key_request.open_page(pending.validation_url):
        say("The page opens in your browser.")


class KeyStorage:
    """Stores the pending and the validated key of one profile.

    Raises:
        CommandFailed: the key cannot be stored where it belongs.
    """

    def __init__(self, account: Account, sources: Sources, in_keyring: bool) -> None:
        self._account = account
        self._name = account.profile.name
        self._pending_path = pending_path(self._name, sources)
        self._writer = StoreWriter(account.unresolved.path, sources)
        self._into = Reference("keyring", (SERVICE, self._name)) if in_keyring else None
        # Checked first, so that nobody validates a key that cannot be stored.
        reference = self._into or account.unresolved.consumer_key_reference(self._name)
        require_writable(self._name, reference)
        if reference is not None and reference.kind == "keyring":
            require_keyring()

    @property
    def resume_command(self) -> str:
        return f"ovh-proxy login --resume --profile {self._name}"

    def save_pending(self, pending: PendingKey) -> None:
        """Stores a pending key, and its profile if that is new."""
        if self._account.is_new:
            # OVHcloud accepted the application keys, so they are worth storing even if the
            # consumer key is never validated.
            self._writer.put_profiles({self._name: self._fields()})
        write_pending(self._pending_path, pending)

    def read_pending(self) -> PendingKey:
        """The pending key.

        Raises:
            UsageError: there is none, or the endpoint of the profile has changed.
        """
        pending = read_pending(self._pending_path)
        if pending is None:
            raise UsageError(
                f"--resume: profile {quoted(self._name)} has no pending key; "
                "run login without --resume"
            )
        endpoint = self._account.profile.endpoint
        if pending.base_url != endpoint.base_url:
            raise UsageError(
                f"--resume: the pending key of profile {quoted(self._name)} is for "
                f"{pending.base_url}, but its endpoint is {endpoint.base_url}; "
                "run login without --resume"
            )
        return pending

    def finish(self, outcome: Outcome) -> str | None:
        """Stores a validated key and returns where; deletes the pending key once it is decided."""
        stored_in = None
        if outcome.is_validated:
            stored_in = self._writer.put_consumer_key(self._name, outcome.consumer_key, self._into)
        if outcome.state not in (None, UNVALIDATED):
            delete_pending(self._pending_path)
        return stored_in

    def _fields(self) -> Mapping[str, Value]:
        credential = application_keys(self._account.profile)
        return {
            "endpoint": self._account.profile.endpoint.name,
            "application_key": credential.application_key,
            "application_secret": credential.application_secret,
        }
