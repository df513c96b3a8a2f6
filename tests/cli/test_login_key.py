import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ovh_proxy.auth.consumer_keys import GONE, ConsumerKeys
from ovh_proxy.cli.login_key import UNVALIDATED, wait_for_validation
from ovh_proxy.core.errors import ClockUnknown, UpstreamTimeout
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import CredentialState

pytestmark = pytest.mark.asyncio

PENDING = CredentialState("pendingValidation", None, ())
VALIDATED = CredentialState("validated", None, ("GET /me",))


@dataclass
class ScriptedKeys:
    """Consumer keys whose states are given in order; the last one repeats."""

    states: list[CredentialState | Exception]
    looks: int = 0
    time: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    async def look(self, profile: Profile) -> CredentialState:
        state = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        if isinstance(state, Exception):
            raise state
        return state

    async def outcome(self, came_back: bool = False, timeout_s: float = 100) -> Any:
        event = asyncio.Event()
        if came_back:
            event.set()
        consumer_keys, profile = cast("ConsumerKeys", self), cast("Profile", None)
        return await wait_for_validation(
            consumer_keys, profile, event, timeout_s, interval_s=0, now=lambda: next(self.time)
        )


@pytest.mark.parametrize(
    "states",
    [
        [VALIDATED],
        [PENDING, PENDING, VALIDATED],
        [UpstreamTimeout("slow"), ClockUnknown("no time"), VALIDATED],
        [GONE, GONE, PENDING, GONE, GONE, VALIDATED],
    ],
    ids=["immediately", "later", "after failures", "before all servers know it"],
)
async def test_a_validated_key_ends_the_wait(states: list[Any]) -> None:
    assert await ScriptedKeys(states).outcome() == VALIDATED


async def test_a_key_that_stays_unknown_ends_the_wait() -> None:
    assert await ScriptedKeys([GONE]).outcome() == GONE


async def test_a_pending_key_times_out_if_the_browser_does_not_come_back() -> None:
    assert await ScriptedKeys([PENDING]).outcome(timeout_s=20) is None


async def test_a_key_that_stays_pending_after_the_browser_came_back_was_not_validated() -> None:
    keys = ScriptedKeys([PENDING])

    assert await keys.outcome(came_back=True) == UNVALIDATED
    assert keys.looks == 4


async def test_a_key_may_become_valid_shortly_after_the_browser_came_back() -> None:
    assert await ScriptedKeys([PENDING, PENDING, VALIDATED]).outcome(came_back=True) == VALIDATED
