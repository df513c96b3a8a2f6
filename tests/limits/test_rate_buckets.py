"""Requests per minute over all workers: the leaky buckets."""

import pytest

from ovh_proxy.limits.rate import LeakyBuckets


@pytest.fixture
def reserve():
    """Reserves a slot of `client ci` at a time; 60 per minute, at most 10 s of waiting."""
    buckets = LeakyBuckets()

    def reserve(now, per_minute=60, key="client ci"):
        return buckets.reserve(key, per_minute, 10.0, now)

    reserve.buckets = buckets
    return reserve


def test_a_minutes_worth_passes_at_once_and_the_next_requests_wait(reserve):
    waits = [reserve(0.0) for _ in range(63)]

    assert waits == [0.0] * 60 + [1.0, 2.0, 3.0]


def test_a_request_that_would_wait_too_long_reserves_nothing(reserve):
    waits = [reserve(0.0) for _ in range(75)]

    assert waits[60:70] == [float(second) for second in range(1, 11)]
    assert waits[70:] == [None] * 5
    assert reserve(1.0) == 10.0


def test_time_frees_slots(reserve):
    for _ in range(60):
        reserve(0.0)

    assert reserve(30.0) == 0.0


def test_an_idle_hour_frees_no_more_than_the_whole_bucket(reserve):
    waits = [reserve(3600.0) for _ in range(61)]

    assert waits[-1] == 1.0


def test_a_released_slot_goes_to_the_next_request(reserve):
    for _ in range(61):
        reserve(0.0)

    reserve.buckets.release("client ci", 60, 0.0)

    assert reserve(0.0) == 1.0


def test_releasing_an_unreserved_slot_adds_no_capacity(reserve):
    reserve.buckets.release("client ci", 60, 0.0)

    assert [reserve(0.0) for _ in range(61)][-1] == 1.0


@pytest.mark.parametrize("other", [{"key": "profile a"}, {"per_minute": 61}], ids=["key", "rate"])
def test_each_key_and_rate_has_its_own_bucket(reserve, other):
    for _ in range(60):
        reserve(0.0)

    assert reserve(0.0, **other) == 0.0
