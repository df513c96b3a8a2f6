"""Examples without end, for a set time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
# How long each of the three tests goes on that `-m soak` asks for: together a fifth of all of it,
# or as long as `OVH_PROXY_FUZZ_S` says.
_SHARE_S = float(os.environ.get("OVH_PROXY_SOAK_S", "600")) / 15
LONG_S = float(os.environ.get("OVH_PROXY_FUZZ_S", _SHARE_S))


def play(cases: st.SearchStrategy[T], check: Callable[[T], None], *, examples: int) -> None:
    """Checks so many examples; the one that fails is shown at its smallest."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,  # what is worth keeping goes into `seeds/`
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(cases)
    def one(case: T) -> None:
        check(case)

    one()


def play_long(cases: st.SearchStrategy[T], check: Callable[[T], None]) -> None:
    """Checks new examples until the time is over."""
    deadline = time.monotonic() + LONG_S
    while time.monotonic() < deadline:
        play(cases, check, examples=50)
