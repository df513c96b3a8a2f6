"""The shared cache: one worker fetches, all get the value."""

import pytest

from ovh_proxy.workers.coordinator import SharedCacheServer

ALL = [1, 2, 3]
KEY = "clock"


@pytest.fixture
def shared_cache():
    """An empty cache."""
    return SharedCacheServer()


def value_message(version, value=None):
    message = {"type": "value", "key": KEY, "version": version}
    return message if value is None else message | {"value": value}


def your_turn():
    return {"type": "your_turn", "key": KEY}


def test_the_first_worker_fetches_and_the_others_wait(shared_cache):
    sends = [list(shared_cache.request(worker, KEY, 0)) for worker in ALL]

    assert sends == [[(1, your_turn())], [], []]


def test_all_workers_get_the_value_and_the_fetching_one_only_the_version(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    sends = list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert sends == [
        (1, value_message(1)),
        (2, value_message(1, {"t": 1})),
        (3, value_message(1, {"t": 1})),
    ]


def test_a_worker_without_the_last_value_gets_it_at_once(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert list(shared_cache.request(2, KEY, 0)) == [(2, value_message(1, {"t": 1}))]


def test_a_worker_with_the_last_value_fetches_a_newer_one(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))

    assert list(shared_cache.request(2, KEY, 1)) == [(2, your_turn())]


def test_a_failure_goes_to_all_waiting_workers_and_the_next_request_fetches_again(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    failed = list(shared_cache.fail(1, KEY, "CLOCK_UNKNOWN", "no"))
    after = list(shared_cache.request(3, KEY, 0))

    message = {"type": "failed", "key": KEY, "code": "CLOCK_UNKNOWN", "text": "no"}
    assert failed == [(2, message), (3, message)]
    assert after == [(3, your_turn())]


def test_a_failure_of_a_worker_that_is_not_the_fetcher_is_ignored(shared_cache):
    list(shared_cache.request(1, KEY, 0))
    list(shared_cache.request(2, KEY, 0))

    assert list(shared_cache.fail(2, KEY, "CLOCK_UNKNOWN", "no")) == []
    assert list(shared_cache.store(1, KEY, {"t": 1}, [2])) == [(2, value_message(1, {"t": 1}))]


def test_the_next_worker_fetches_if_the_fetching_one_has_ended(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    first, second, third = (list(shared_cache.remove_worker(worker)) for worker in ALL)

    assert (first, second, third) == ([(2, your_turn())], [(3, your_turn())], [])
    assert list(shared_cache.request(4, KEY, 0)) == [(4, your_turn())]


def test_a_declined_turn_goes_to_the_next_worker(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    assert list(shared_cache.decline(1, KEY)) == [(2, your_turn())]
    assert list(shared_cache.decline(3, KEY)) == []
    assert list(shared_cache.decline(2, KEY)) == []


def test_an_ended_worker_gets_no_turn(shared_cache):
    for worker in ALL:
        list(shared_cache.request(worker, KEY, 0))

    assert list(shared_cache.remove_worker(2)) == []
    assert list(shared_cache.remove_worker(1)) == [(3, your_turn())]


def test_an_unrequested_value_is_published_to_all(shared_cache):
    list(shared_cache.request(1, KEY, 0))

    list(shared_cache.publish(2, KEY, {"state": "refused"}, ALL))

    assert shared_cache.cached == {KEY: (1, {"state": "refused"})}
    assert list(shared_cache.request(3, KEY, 1)) == []  # the first one is still fetching


def test_a_value_that_the_fetcher_publishes_does_not_end_its_turn(shared_cache):
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


def test_a_new_worker_gets_all_cached_values(shared_cache):
    list(shared_cache.store(1, KEY, {"t": 1}, ALL))
    list(shared_cache.store(1, KEY, {"t": 2}, ALL))
    list(shared_cache.request(1, "token", 0))

    assert shared_cache.cached == {KEY: (2, {"t": 2})}
