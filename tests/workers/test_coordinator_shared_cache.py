"""What workers find out for each other: one of them asks, all are told."""

import pytest

from ovh_proxy.workers.coordinator import SharedCacheServer

ALL = [1, 2, 3]
KEY = "clock"


@pytest.fixture
def shared_cache():
    """A board on which nothing is known."""
    return SharedCacheServer()


def value_message(version, value=None):
    message = {"type": "value", "key": KEY, "version": version}
    return message if value is None else message | {"value": value}


def your_turn():
    return {"type": "your_turn", "key": KEY}


def test_the_first_that_wants_to_know_asks_and_the_others_wait(shared_cache):
    sends = [list(shared_cache.request(worker, KEY, 0)) for worker in ALL]

    assert sends == [[(1, your_turn())], [], []]


def test_all_are_told_and_the_one_that_asked_gets_the_version_alone(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    sends = list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert sends == [
        (1, value_message(1)),
        (2, value_message(1, {"t": 1})),
        (3, value_message(1, {"t": 1})),
    ]


def test_whoever_has_not_seen_the_last_value_gets_it_at_once(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert list(shared_cache.request(2, KEY, 0)) == [(2, value_message(1, {"t": 1}))]


def test_whoever_has_seen_the_last_value_asks_for_another(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert list(shared_cache.request(2, KEY, 1)) == [(2, your_turn())]


def test_a_failure_goes_to_those_that_wait_and_the_next_asks_anew(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    failed = list(shared_cache.fail(1, KEY, "CLOCK_UNKNOWN", "no"))
    after = list(shared_cache.request(3, KEY, 0))

    message = {"type": "failed", "key": KEY, "code": "CLOCK_UNKNOWN", "text": "no"}
    assert failed == [(2, message), (3, message)]
    assert after == [(3, your_turn())]


def test_a_failure_of_somebody_who_was_not_to_ask_is_nobodys(shared_cache):
    list(shared_cache.request(1, KEY, 0))
    list(shared_cache.request(2, KEY, 0))

    assert list(shared_cache.fail(2, KEY, "CLOCK_UNKNOWN", "no")) == []
    assert list(shared_cache.store(1, KEY, {"t": 1}, [2])) == [(2, value_message(1, {"t": 1}))]


def test_the_next_asks_where_the_asker_has_ended(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    first, second, third = (list(shared_cache.remove_worker(worker)) for worker in ALL)

    assert (first, second, third) == ([(2, your_turn())], [(3, your_turn())], [])
    assert list(shared_cache.request(4, KEY, 0)) == [(4, your_turn())]


def test_a_turn_may_be_passed_on(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    assert list(shared_cache.decline(1, KEY)) == [(2, your_turn())]
    assert list(shared_cache.decline(3, KEY)) == []
    assert list(shared_cache.decline(2, KEY)) == []


def test_one_that_waits_and_ends_is_asked_for_nothing(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    assert list(shared_cache.remove_worker(2)) == []
    assert list(shared_cache.remove_worker(1)) == [(3, your_turn())]


def test_what_nobody_was_told_to_ask_is_told_to_all_the_same(shared_cache):
    list(shared_cache.request(1, KEY, 0))

    list(shared_cache.publish(2, KEY, {"state": "refused"}, ALL))

    assert shared_cache.cached == {KEY: (1, {"state": "refused"})}
    assert list(shared_cache.request(3, KEY, 1)) == []  # the first one still asks


def test_what_an_asker_meets_with_on_its_way_does_not_end_its_turn(shared_cache):
    for worker in (1, 2):
        list(shared_cache.request(worker, KEY, 0))

    met = list(shared_cache.publish(1, KEY, {"n": 1}, ALL))
    again = list(shared_cache.request(2, KEY, 1))
    found = list(shared_cache.store(1, KEY, {"n": 2}, ALL))

    assert met == [
        (1, value_message(1)),
        (2, value_message(1, {"n": 1})),
        (3, value_message(1, {"n": 1})),
    ]
    assert again == []
    assert found == [
        (1, value_message(2)),
        (2, value_message(2, {"n": 2})),
        (3, value_message(2, {"n": 2})),
    ]


def test_a_worker_that_begins_knows_what_the_others_know(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))
    list(shared_cache.store(1, KEY, {"t": 2}, ALL))
    list(shared_cache.request(1, "token", 0))

    assert shared_cache.cached == {KEY: (2, {"t": 2})}
