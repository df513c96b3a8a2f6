import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ovh_proxy.auth.consumer_keys import GONE, ConsumerKeys
from ovh_proxy.cli.login_key import UNVALIDATED, wait_for_owner
from ovh_proxy.core.errors import ClockUnknown, UpstreamTimeout
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import CredentialState

pytestmark = pytest.mark.asyncio

PENDING = CredentialState("pendingValidation", None, ())
VALIDATED = CredentialState("validated", None, ("GET /me",))


@dataclass
class Answers:
    """Answers in their order, the last one for ever."""

    answers: list[CredentialState | Exception]
    looks: int = 0
    time: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    async def look(self, profile: Profile) -> CredentialState:
        answer = self.answers[min(self.looks, len(self.answers) - 1)]
        self.looks += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def outcome(self, came_back: bool = False, timeout_s: float = 100) -> Any:
        event = asyncio.Event()
        if came_back:
            event.set()
        consumer_keys, profile = cast("ConsumerKeys", self), cast("Profile", None)
        return await wait_for_owner(
            consumer_keys, profile, event, timeout_s, interval_s=0, now=lambda: next(self.time)
        )


@pytest.mark.parametrize(
    "answers",
    [
        [VALIDATED],
        [PENDING, PENDING, VALIDATED],
        [UpstreamTimeout("slow"), ClockUnknown("no time"), VALIDATED],
        [GONE, GONE, PENDING, GONE, GONE, VALIDATED],
    ],
    ids=["at once", "after a while", "after failures", "while it spreads"],
)
async def test_a_validated_key_ends_the_waiting(answers: list[Any]) -> None:
    assert await Answers(answers).outcome() == VALIDATED


async def test_a_key_that_stays_unknown_ends_the_waiting() -> None:
    assert await Answers([GONE]).outcome() == GONE


async def test_nothing_is_concluded_while_the_browser_has_not_come_back() -> None:
    assert await Answers([PENDING]).outcome(timeout_s=20) is None


async def test_a_key_that_stays_pending_after_the_browser_came_back_was_not_validated() -> None:
    answers = Answers([PENDING])

    assert await answers.outcome(came_back=True) == UNVALIDATED
    assert answers.looks == 4


async def test_a_key_may_become_valid_a_moment_after_the_browser_came_back() -> None:
    assert await Answers([PENDING, PENDING, VALIDATED]).outcome(came_back=True) == VALIDATED
