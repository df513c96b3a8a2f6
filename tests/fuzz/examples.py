"""Runs hypothesis for a number of examples, or for a time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
# The duration of each of the three tests of `-m soak`: together a fifth of the total time, or
# `OVH_PROXY_FUZZ_S`.
_SHARE_S = float(os.environ.get("OVH_PROXY_SOAK_S", "600")) / 15
LONG_S = float(os.environ.get("OVH_PROXY_FUZZ_S", _SHARE_S))


def run_examples(cases: st.SearchStrategy[T], check: Callable[[T], None], *, examples: int) -> None:
    """Checks a number of examples. A failing example is minimized."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,  # interesting inputs are stored in `seeds/`
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(cases)
    def one(case: T) -> None:
        check(case)

    one()


def run_for_a_time(cases: st.SearchStrategy[T], check: Callable[[T], None]) -> None:
    """Checks new examples until the time is over."""
    deadline = time.monotonic() + LONG_S
    while time.monotonic() < deadline:
        run_examples(cases, check, examples=50)
