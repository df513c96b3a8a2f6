"""What all workers have counted together."""

import math

import pytest

from ovh_proxy.observability.counters import RequestCounters
from ovh_proxy.workers.coordinator import MetricsAggregator
from ovh_proxy.workers.worker_table import Worker, WorkerTable

UP, FLIGHT = "ovh_proxy_upstream_connections_made_total", "ovh_proxy_requests_in_flight"
RESTARTS = "ovh_proxy_worker_restarts_total"


def counted(requests, in_flight=0, cpu=0.0):
    """What a worker has counted that made as many requests as connections."""
    return {
        **RequestCounters().snapshot(),
        "requests": [["p", "-", "GET", "2xx", "", "relayed", requests]],
        "levels": {UP: requests, FLIGHT: in_flight},
        "process": {"process_cpu_seconds_total": cpu, "process_open_fds": 7},
    }


def shown(sends):
    """Who gets an answer, and the counts in it."""
    return [
        (
            pid,
            sum(request[-1] for request in message["snapshot"]["requests"]),
            {name: message["snapshot"]["levels"].get(name, 0) for name in (UP, FLIGHT)},
        )
        for pid, message in sends
    ]


@pytest.fixture
def worker_table():
    """Three workers, 1 to 3, that accept."""
    made = WorkerTable(3)
    for place in made.slots:
        place.worker = Worker(place.number, None, 0.0, is_ready=True)
    return made


@pytest.fixture
def aggregator(worker_table):
    return MetricsAggregator(worker_table)


def test_the_others_are_asked_and_their_counts_added_up(aggregator):
    asked = list(aggregator.ask(1, 7, 0.0))
    aggregator.counted(2, counted(10, in_flight=1))
    before = list(aggregator.answers(0.1))
    aggregator.counted(3, counted(5, in_flight=2))
    answers = list(aggregator.answers(0.1))

    assert asked == [(2, {"is": "count"}), (3, {"is": "count"})]
    assert before == []
    assert shown(answers) == [(1, 15, {UP: 15, FLIGHT: 3})]
    assert (answers[0][1]["is"], answers[0][1]["number"]) == ("answer", 7)


def test_the_one_that_asks_adds_its_own_counts_itself(aggregator):
    aggregator.counted(1, counted(100))
    list(aggregator.ask(1, 7, 0.0))
    aggregator.counted(2, counted(10))
    aggregator.counted(3, counted(5))

    assert shown(aggregator.answers(0.1)) == [(1, 15, {UP: 15, FLIGHT: 0})]


def test_a_worker_that_hangs_counts_by_its_last_word(aggregator):
    aggregator.counted(3, counted(4))
    list(aggregator.ask(1, 7, 0.0))
    aggregator.counted(2, counted(10))

    before, after = shown(aggregator.answers(0.5)), shown(aggregator.answers(1.0))

    assert (before, after) == ([], [(1, 14, {UP: 14, FLIGHT: 0})])


def test_the_time_of_an_answer_is_known_while_one_is_owed(aggregator):
    before = aggregator.next_due_at
    list(aggregator.ask(1, 7, 10.0))

    assert (before, aggregator.next_due_at) == (math.inf, 11.0)


def test_what_an_ended_worker_has_counted_stays_and_what_it_held_does_not(aggregator, worker_table):
    aggregator.counted(3, counted(4, in_flight=2))
    worker_table.slots[2].vacate(1.0)
    aggregator.leave(3, counted(4, in_flight=2))
    list(aggregator.ask(1, 7, 1.0))
    aggregator.counted(2, counted(10))

    assert shown(aggregator.answers(1.0)) == [(1, 14, {UP: 14, FLIGHT: 0})]


def test_counts_of_many_ended_workers_add_up(aggregator):
    for requests in (1, 2, 3, None):
        aggregator.leave(99, None if requests is None else counted(requests, cpu=1.0))
    list(aggregator.ask(1, 7, 0.0))
    aggregator.counted(2, counted(0))
    aggregator.counted(3, counted(0))

    ((_, answer),) = aggregator.answers(0.0)
    assert shown([(1, answer)]) == [(1, 6, {UP: 6, FLIGHT: 0})]
    assert answer["snapshot"]["process"]["process_cpu_seconds_total"] >= 3.0


def test_nobody_waits_for_a_worker_that_has_ended_nor_answers_one(aggregator, worker_table):
    list(aggregator.ask(1, 7, 0.0))
    list(aggregator.ask(2, 8, 0.0))
    worker_table.slots[1].vacate(0.0)
    aggregator.leave(2, None)
    aggregator.counted(3, counted(5))

    assert shown(aggregator.answers(0.0)) == [(1, 5, {UP: 5, FLIGHT: 0})]


def test_one_alone_is_answered_at_once_with_the_restarts(aggregator, worker_table):
    worker_table.slots[1].vacate(0.0)
    worker_table.slots[2].vacate(0.0)
    aggregator.restarts = 2

    ((pid, answer),) = aggregator.ask(1, 7, 0.0)

    assert (pid, answer["snapshot"]["levels"]) == (1, {RESTARTS: 2})


def test_a_word_without_the_system_s_share_keeps_the_last_one(aggregator):
    aggregator.counted(2, counted(10, cpu=3.0))
    brief = {key: value for key, value in counted(11).items() if key != "process"}
    aggregator.counted(2, brief)
    list(aggregator.ask(1, 7, 0.0))
    aggregator.counted(3, counted(0))
    aggregator.counted(2, brief)

    ((_, answer),) = aggregator.answers(0.0)
    assert answer["snapshot"]["process"]["process_cpu_seconds_total"] >= 3.0
    assert shown([(1, answer)]) == [(1, 11, {UP: 11, FLIGHT: 0})]
