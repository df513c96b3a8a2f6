"""Requests per minute over all workers."""

import pytest

from ovh_proxy.limits.rate import LeakyBuckets


@pytest.fixture
def places():
    """Asks for a place of `client ci` at a moment; 60 a minute, and a patience of ten seconds."""
    buckets = LeakyBuckets()

    def place(now, per_minute=60, whose="client ci"):
        return buckets.place(whose, per_minute, 10.0, now)

    place.buckets = buckets
    return place


def test_a_minutes_worth_passes_at_once_and_the_next_wait_in_turn(places):
    waits = [places(0.0) for _ in range(63)]

    assert waits == [0.0] * 60 + [1.0, 2.0, 3.0]


def test_whoever_would_wait_too_long_gets_no_place_and_takes_none(places):
    waits = [places(0.0) for _ in range(75)]

    assert waits[60:70] == [float(second) for second in range(1, 11)]
    assert waits[70:] == [None] * 5
    assert places(1.0) == 10.0


def test_time_makes_room(places):
    for _ in range(60):
        places(0.0)

    assert places(30.0) == 0.0


def test_an_hour_makes_no_more_room_than_there_is(places):
    waits = [places(3600.0) for _ in range(61)]

    assert waits[-1] == 1.0


def test_a_place_that_is_given_back_is_the_next_ones(places):
    for _ in range(61):
        places(0.0)

    places.buckets.release("client ci", 60, 0.0)

    assert places(0.0) == 1.0


def test_nothing_is_gained_by_giving_back_what_was_not_taken(places):
    places.buckets.release("client ci", 60, 0.0)

    assert [places(0.0) for _ in range(61)][-1] == 1.0


@pytest.mark.parametrize("other", [{"whose": "profile a"}, {"per_minute": 61}], ids=["who", "rate"])
def test_each_has_a_bucket_of_its_own_at_each_rate(places, other):
    for _ in range(60):
        places(0.0)

    assert places(0.0, **other) == 0.0
