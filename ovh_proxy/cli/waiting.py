"""Waits until the owner of a consumer key has decided, and shows it."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ovh_proxy.auth.consumer_keys import ConsumerKeys
from ovh_proxy.cli.asking import say
from ovh_proxy.cli.duration import in_short
from ovh_proxy.core.errors import ClockUnknown, UpstreamFailed
from ovh_proxy.core.settings import Profile
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
