"""When a connection is opened ahead of calls, and when no more."""

import pytest

from ovh_proxy.server.background import MAX_RETRY_S, RETRY_S, WARM_S, WarmupSchedule


def test_a_connection_is_wanted_at_once() -> None:
    assert WarmupSchedule(now=5.0).is_due(calls=0, now=5.0)


@pytest.mark.parametrize(
    ("after", "wanted"),
    [(0.0, False), (RETRY_S - 1, False), (RETRY_S, True), (WARM_S - 1, True), (WARM_S, False)],
)
def test_one_that_has_gone_is_opened_again_soon_and_for_half_an_hour(after, wanted):
    schedule = WarmupSchedule(now=0.0)
    schedule.record(is_open=True, now=0.0)

    assert schedule.is_due(calls=0, now=after) == wanted


@pytest.mark.parametrize("calls", [1, 7])
@pytest.mark.parametrize(
    ("after", "wanted"), [(0.0, True), (WARM_S - 1, True), (WARM_S, False), (9 * WARM_S, False)]
)
def test_half_an_hour_begins_anew_with_each_call(calls, after, wanted):
    schedule = WarmupSchedule(now=0.0)
    last = 5 * WARM_S
    schedule.is_due(calls, last)

    assert schedule.is_due(calls, last + after) == wanted


def test_an_endpoint_that_takes_no_connection_is_tried_ever_less_often() -> None:
    schedule, now, waits = WarmupSchedule(now=0.0), 0.0, []

    for calls in range(10):
        schedule.record(is_open=False, now=now)
        waits.append(next(s for s in range(10_000) if schedule.is_due(calls, now + s)))
        now += waits[-1]

    assert waits == [20, 40, 80, 160, 320, 600, 600, 600, 600, 600]
    assert waits[-1] == MAX_RETRY_S


def test_one_that_takes_connections_again_is_trusted_again() -> None:
    schedule = WarmupSchedule(now=0.0)
    for _ in range(5):
        schedule.record(is_open=False, now=0.0)

    schedule.record(is_open=True, now=0.0)

    assert schedule.is_due(calls=0, now=RETRY_S)
