"""One consumer key: requested, waited for, kept."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ovh_proxy.auth.consumer_keys import ConsumerKeys
from ovh_proxy.cli.login_callback import return_page
from ovh_proxy.cli.login_input import Account
from ovh_proxy.cli.options import in_short
from ovh_proxy.cli.terminal import safe, say
from ovh_proxy.config.keyring import SERVICE, require_keyring
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import ClockUnknown, UpstreamFailed, UsageError
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

# What OVHcloud has only just made or validated is not known everywhere at once.
_PATIENCE = 3

UNVALIDATED = CredentialState("unvalidated", None, ())
"""The browser came back, and the key is no more valid than before: OVHcloud answers alike for keys
that are pending and keys that were refused."""

_TEXTS = {
    "pendingValidation": "waiting for you to validate the key",
    "unreachable": "OVHcloud cannot be reached at the moment; trying again",
    "gone": "OVHcloud does not know the key (yet)",
}


@dataclass(slots=True)
class Progress:
    """What is known so far.

    Attributes:
        ends: when the waiting is over, on the clock of `now`.
    """

    ends: float
    now: Callable[[], float]
    state: str = "pendingValidation"

    def line(self) -> str:
        left = in_short(self.ends - self.now())
        return f"{_TEXTS.get(self.state, self.state)} ({left} left; Ctrl-C keeps it)"


async def wait_for_owner(
    consumer_keys: ConsumerKeys,
    profile: Profile,
    came_back: asyncio.Event,
    timeout_s: float,
    interval_s: float = INTERVAL_S,
    now: Callable[[], float] = time.monotonic,
) -> CredentialState | None:
    """The state that the owner has brought about; None when the time is over.

    Args:
        came_back: set when a look is worth it before the interval is over.

    Raises:
        CommandFailed: OVHcloud refuses the application.
    """
    progress, gone, undecided = Progress(now() + timeout_s, now), 0, 0
    with shown(progress):
        while True:
            found = await _look(consumer_keys, profile, progress)
            gone = gone + 1 if progress.state == "gone" else 0
            if found and (progress.state not in _TEXTS or gone == _PATIENCE):
                return found
            if undecided == _PATIENCE:
                return UNVALIDATED
            left = progress.ends - now()
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
        found = await consumer_keys.look(profile)
    except (UpstreamFailed, ClockUnknown):
        progress.state = "unreachable"
        return None
    progress.state = found.status
    return found


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Shows the progress: one living line on a terminal, one plain line elsewhere."""
    if not sys.stderr.isatty():
        say(progress.line())
        yield
        return
    # Imported here: it costs more than most commands take.
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
    """What is asked for, and how it is waited for.

    Attributes:
        redirect: where the browser goes afterwards; None for a page of ours.
        opens: opens the validation page; says whether it could.
    """

    profile: Profile
    rules: tuple[AccessRule, ...]
    allowed_ips: tuple[str, ...]
    redirect: str | None
    timeout_s: float
    opens: Callable[[str], bool]
    interval_s: float = INTERVAL_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a key.

    Attributes:
        state: None when the time was over before anybody decided.
        rules: as the key has them, else as they were asked for.
    """

    consumer_key: Secret
    validation_url: str
    state: CredentialState | None
    rules: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return self.state is not None and self.state.status == "validated"


async def request_key(
    key_request: KeyRequest,
    pending: PendingKey | None,
    keep: Callable[[PendingKey], None],
    reach: tuple[Upstream, Timeouts],
) -> Outcome:
    """Asks for a key, or takes the one that waits, and sees it through.

    Args:
        keep: told of a new key before its owner is, so that no interruption loses it.

    Raises:
        CommandFailed: OVHcloud refuses what is asked for.
        OvhProxyError: it could not be asked.
    """
    port = None if key_request.redirect else pending.port or None if pending else 0
    async with ConsumerKeys(*reach) as consumer_keys, return_page(port) as page:
        if pending is None:
            redirect = key_request.redirect or page.url
            new = await consumer_keys.request(
                key_request.profile, key_request.rules, redirect, key_request.allowed_ips
            )
            rules = tuple(map(str, key_request.rules))
            base_url = key_request.profile.endpoint.base_url
            pending = PendingKey(base_url, new.consumer_key, new.validation_url, rules, page.port)
            keep(pending)
        _show(pending, key_request)
        profile = _with_key(key_request.profile, pending.consumer_key)
        state = await wait_for_owner(
            consumer_keys, profile, page.came_back, key_request.timeout_s, key_request.interval_s
        )
        if state is not None and key_request.redirect is None:
            await page.see_off()
    rules = (state and state.rules) or pending.rules
    return Outcome(pending.consumer_key, pending.validation_url, state, rules)


def _show(pending: PendingKey, key_request: KeyRequest) -> None:
    say("Log in to OVHcloud on this page and validate the key; it asks for:")
    for rule in pending.rules:
        say(f"  {safe(rule)}")
    say()
    say(f"  {pending.validation_url}")
    say()
    if key_request.opens(pending.validation_url):
        say("It opens in your browser.")


def _with_key(profile: Profile, key: Secret) -> Profile:
    assert isinstance(profile.credential, ApplicationCredential)
    return replace(profile, credential=replace(profile.credential, consumer_key=key))


class KeyStorage:
    """Writes for one profile.

    Raises:
        CommandFailed: the key could not be kept where it is to be kept.
    """

    def __init__(self, account: Account, sources: Sources, in_keyring: bool) -> None:
        self._account = account
        self._name = account.profile.name
        self._pending = pending_path(self._name, sources)
        self._writer = StoreWriter(account.unresolved.path, sources)
        self._into = Reference("keyring", (SERVICE, self._name)) if in_keyring else None
        # Before anything is asked for, and anybody goes to a browser for nothing.
        kept = self._into or account.unresolved.consumer_key_reference(self._name)
        require_writable(self._name, kept)
        if kept is not None and kept.kind == "keyring":
            require_keyring()

    @property
    def resume_command(self) -> str:
        return f"ovh-proxy login --resume --profile {self._name}"

    def start(self, pending: PendingKey) -> None:
        """Keeps a key that waits, and the profile that it is for."""
        if self._account.is_new:
            # OVHcloud knows the application: its keys are worth keeping, whatever comes next.
            self._writer.put_profiles({self._name: self._fields()})
        write_pending(self._pending, pending)

    def resumed(self) -> PendingKey:
        """The key that waits.

        Raises:
            UsageError: there is none, or it is not for this profile any more.
        """
        pending = read_pending(self._pending)
        if pending is None:
            raise UsageError(f"no key of profile {self._name} waits; login without --resume")
        if pending.base_url != self._account.profile.endpoint.base_url:
            raise UsageError(
                f"the key that waits for profile {self._name} is of another endpoint; "
                "login without --resume"
            )
        return pending

    def finish(self, outcome: Outcome) -> str | None:
        """Keeps a validated key and says where; drops one that never will be valid."""
        where = None
        if outcome.is_good:
            where = self._writer.put_consumer_key(self._name, outcome.consumer_key, self._into)
        if outcome.state not in (None, UNVALIDATED):
            delete_pending(self._pending)
        return where

    def _fields(self) -> Mapping[str, Value]:
        credential = self._account.profile.credential
        assert isinstance(credential, ApplicationCredential)
        return {
            "endpoint": self._account.profile.endpoint.name,
            "application_key": credential.application_key,
            "application_secret": credential.application_secret,
        }
