"""When a connection is opened in advance, and when no longer."""

import pytest

from ovh_proxy.server.background import MAX_RETRY_S, RETRY_S, WARM_S, WarmupSchedule


def test_a_connection_is_due_at_once() -> None:
    assert WarmupSchedule(now=5.0).is_due(calls=0, now=5.0)


@pytest.mark.parametrize(
    ("after", "wanted"),
    [(0.0, False), (RETRY_S - 1, False), (RETRY_S, True), (WARM_S - 1, True), (WARM_S, False)],
)
def test_a_closed_connection_is_reopened_for_half_an_hour(after, wanted):
    schedule = WarmupSchedule(now=0.0)
    schedule.record(is_open=True, now=0.0)

    assert schedule.is_due(calls=0, now=after) == wanted


@pytest.mark.parametrize("calls", [1, 7])
@pytest.mark.parametrize(
    ("after", "wanted"), [(0.0, True), (WARM_S - 1, True), (WARM_S, False), (9 * WARM_S, False)]
)
def test_each_call_restarts_the_half_hour(calls, after, wanted):
    schedule = WarmupSchedule(now=0.0)
    last = 5 * WARM_S
    schedule.is_due(calls, last)

    assert schedule.is_due(calls, last + after) == wanted


def test_an_unreachable_endpoint_is_tried_with_growing_intervals() -> None:
    schedule, now, waits = WarmupSchedule(now=0.0), 0.0, []

    for calls in range(10):
        schedule.record(is_open=False, now=now)
        waits.append(next(s for s in range(10_000) if schedule.is_due(calls, now + s)))
        now += waits[-1]

    assert waits == [20, 40, 80, 160, 320, 600, 600, 600, 600, 600]
    assert waits[-1] == MAX_RETRY_S


def test_a_success_resets_the_interval() -> None:
    schedule = WarmupSchedule(now=0.0)
    for _ in range(5):
        schedule.record(is_open=False, now=0.0)

    schedule.record(is_open=True, now=0.0)

    assert schedule.is_due(calls=0, now=RETRY_S)
