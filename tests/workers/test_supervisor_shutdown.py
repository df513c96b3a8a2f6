"""What a supervisor does when, once a stop has been asked for."""

import math
import signal

import pytest

from ovh_proxy.core.settings import Timeouts
from ovh_proxy.workers.supervisor import ShutdownResult, ShutdownSchedule

TIMEOUTS = Timeouts(drain_delay_s=3, drain_s=30)


@pytest.fixture
def plan():
    """A plan of a stop that a signal has asked for, at the time 100."""
    asked = ShutdownSchedule()
    asked.ask(signal.SIGTERM, 100.0, TIMEOUTS)
    return asked


def test_nothing_is_due_before_anybody_asks():
    plan = ShutdownSchedule()

    assert (plan.is_asked, plan.names_go_at, plan.kill_at) == (False, math.inf, math.inf)


def test_names_go_with_the_listeners_and_workers_get_their_time_and_some_more(plan):
    assert (plan.names_go_at, plan.kill_at) == (103.0, 138.0)


def test_a_forced_end_is_soon_and_no_later_than_planned(plan):
    plan.force(101.0)
    soon = plan.kill_at
    plan.force(104.0)

    assert (plan.names_go_at, soon, plan.kill_at) == (104.0, 106.0, 106.0)


def test_workers_are_killed_once_and_not_before_their_time(plan):
    kills = [plan.takes_to_kill(now) for now in (137.9, 138.0, 139.0)]

    assert kills == [False, True, False]


def test_the_next_moment_is_known(plan):
    before = plan.next_due_at
    plan.names_go_at = math.inf

    assert (before, plan.next_due_at) == (103.0, 138.0)


@pytest.mark.parametrize(
    ("codes", "is_clean"),
    [([], True), ([0, 0], True), ([0, 143, 0], False), ([-9, 0], False)],
    ids=["none", "clean", "one cut short", "one killed"],
)
def test_the_end_is_clean_when_every_worker_ends_clean(plan, codes, is_clean):
    for code in codes:
        plan.record(code)

    assert plan.ending == ShutdownResult(is_clean, signal.SIGTERM, 0)


def test_a_worker_that_could_not_begin_is_told():
    plan = ShutdownSchedule()

    plan.fail(1)

    assert (plan.is_asked, plan.ending) == (True, ShutdownResult(True, None, 1))
