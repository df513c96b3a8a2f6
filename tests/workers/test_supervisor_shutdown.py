"""The deadlines of a supervisor after a shutdown request."""

import math
import signal

import pytest

from ovh_proxy.core.settings import Timeouts
from ovh_proxy.workers.supervisor import ShutdownResult, ShutdownSchedule

TIMEOUTS = Timeouts(drain_delay_s=3, drain_s=30)


@pytest.fixture
def schedule():
    """A shutdown requested by SIGTERM at time 100."""
    requested = ShutdownSchedule()
    requested.request(signal.SIGTERM, 100.0, TIMEOUTS)
    return requested


def test_nothing_is_due_before_a_request():
    schedule = ShutdownSchedule()

    assert (schedule.is_requested, schedule.unlink_at, schedule.kill_at) == (
        False,
        math.inf,
        math.inf,
    )


def test_sockets_are_unlinked_after_the_delay_and_workers_get_a_grace_period(schedule):
    assert (schedule.unlink_at, schedule.kill_at) == (103.0, 138.0)


def test_a_forced_shutdown_is_soon_and_never_later_than_scheduled(schedule):
    schedule.force(101.0)
    soon = schedule.kill_at
    schedule.force(104.0)

    assert (schedule.unlink_at, soon, schedule.kill_at) == (104.0, 106.0, 106.0)


def test_workers_are_killed_once_and_not_before_the_deadline(schedule):
    kills = [schedule.should_kill(now) for now in (137.9, 138.0, 139.0)]

    assert kills == [False, True, False]


def test_the_next_deadline_is_the_earliest(schedule):
    before = schedule.next_due_at
    schedule.unlink_at = math.inf

    assert (before, schedule.next_due_at) == (103.0, 138.0)


@pytest.mark.parametrize(
    ("codes", "is_clean"),
    [([], True), ([0, 0], True), ([0, 143, 0], False), ([-9, 0], False)],
    ids=["none", "clean", "one cut short", "one killed"],
)
def test_the_result_is_clean_if_every_worker_exits_with_0(schedule, codes, is_clean):
    for code in codes:
        schedule.record(code)

    assert schedule.result == ShutdownResult(is_clean, signal.SIGTERM, 0)


def test_the_result_has_the_exit_code_of_a_worker_that_could_not_start():
    schedule = ShutdownSchedule()

    schedule.fail(1)

    assert (schedule.is_requested, schedule.result) == (True, ShutdownResult(True, None, 1))
