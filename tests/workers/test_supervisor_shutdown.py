"""What a supervisor does when, once a stop has been requested for."""

import math
import signal

import pytest

from ovh_proxy.core.settings import Timeouts
from ovh_proxy.workers.supervisor import ShutdownResult, ShutdownSchedule

TIMEOUTS = Timeouts(drain_delay_s=3, drain_s=30)


@pytest.fixture
def schedule():
    """A schedule of a stop that a signal has requested for, at the time 100."""
    requested = ShutdownSchedule()
    requested.request(signal.SIGTERM, 100.0, TIMEOUTS)
    return requested


def test_nothing_is_due_before_anybody_asks():
    schedule = ShutdownSchedule()

    assert (schedule.is_requested, schedule.unlink_at, schedule.kill_at) == (
        False,
        math.inf,
        math.inf,
    )


def test_names_go_with_the_listeners_and_workers_get_their_time_and_some_more(schedule):
    assert (schedule.unlink_at, schedule.kill_at) == (103.0, 138.0)


def test_a_forced_end_is_soon_and_no_later_than_planned(schedule):
    schedule.force(101.0)
    soon = schedule.kill_at
    schedule.force(104.0)

    assert (schedule.unlink_at, soon, schedule.kill_at) == (104.0, 106.0, 106.0)


def test_workers_are_killed_once_and_not_before_their_time(schedule):
    kills = [schedule.should_kill(now) for now in (137.9, 138.0, 139.0)]

    assert kills == [False, True, False]


def test_the_next_moment_is_known(schedule):
    before = schedule.next_due_at
    schedule.unlink_at = math.inf

    assert (before, schedule.next_due_at) == (103.0, 138.0)


@pytest.mark.parametrize(
    ("codes", "is_clean"),
    [([], True), ([0, 0], True), ([0, 143, 0], False), ([-9, 0], False)],
    ids=["none", "clean", "one cut short", "one killed"],
)
def test_the_end_is_clean_when_every_worker_ends_clean(schedule, codes, is_clean):
    for code in codes:
        schedule.record(code)

    assert schedule.result == ShutdownResult(is_clean, signal.SIGTERM, 0)


def test_a_worker_that_could_not_begin_is_told():
    schedule = ShutdownSchedule()

    schedule.fail(1)

    assert (schedule.is_requested, schedule.result) == (True, ShutdownResult(True, None, 1))
