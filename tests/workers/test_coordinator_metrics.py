"""The metrics of all workers, summed by the supervisor."""

import math

import pytest

from ovh_proxy.observability.counters import RequestCounters
from ovh_proxy.workers.coordinator import MetricsAggregator
from ovh_proxy.workers.worker_table import Worker, WorkerTable

UP, FLIGHT = "ovh_proxy_upstream_connections_made_total", "ovh_proxy_requests_in_flight"
RESTARTS = "ovh_proxy_worker_restarts_total"


def snapshot_of(requests, in_flight=0, cpu=0.0):
    """Returns the snapshot of a worker with as many requests as connections."""
    return {
        **RequestCounters().snapshot(),
        "requests": [["p", "-", "GET", "2xx", "", "relayed", requests]],
        "levels": {UP: requests, FLIGHT: in_flight},
        "process": {"process_cpu_seconds_total": cpu, "process_open_fds": 7},
    }


def replies_in(sends):
    """Returns the recipient of each reply and the sums in it."""
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
    """Three ready workers, 1 to 3."""
    made = WorkerTable(3)
    for slot in made.slots:
        slot.worker = Worker(slot.number, None, 0.0, is_ready=True)
    return made


@pytest.fixture
def aggregator(worker_table):
    return MetricsAggregator(worker_table)


def test_the_metrics_of_all_other_workers_are_summed(aggregator):
    sends = list(aggregator.collect(1, 7, 0.0))
    aggregator.record(2, snapshot_of(10, in_flight=1))
    before = list(aggregator.replies(0.1))
    aggregator.record(3, snapshot_of(5, in_flight=2))
    replies = list(aggregator.replies(0.1))

    assert sends == [(2, {"type": "report_metrics"}), (3, {"type": "report_metrics"})]
    assert before == []
    assert replies_in(replies) == [(1, 15, {UP: 15, FLIGHT: 3})]
    assert (replies[0][1]["type"], replies[0][1]["request_id"]) == ("reply", 7)


def test_the_reply_does_not_include_the_requesting_worker(aggregator):
    aggregator.record(1, snapshot_of(100))
    list(aggregator.collect(1, 7, 0.0))
    aggregator.record(2, snapshot_of(10))
    aggregator.record(3, snapshot_of(5))

    assert replies_in(aggregator.replies(0.1)) == [(1, 15, {UP: 15, FLIGHT: 0})]


def test_for_a_hanging_worker_the_last_report_is_used(aggregator):
    aggregator.record(3, snapshot_of(4))
    list(aggregator.collect(1, 7, 0.0))
    aggregator.record(2, snapshot_of(10))

    before, after = replies_in(aggregator.replies(0.5)), replies_in(aggregator.replies(1.0))

    assert (before, after) == ([], [(1, 14, {UP: 14, FLIGHT: 0})])


def test_the_next_deadline_is_that_of_the_open_request(aggregator):
    before = aggregator.next_due_at
    list(aggregator.collect(1, 7, 10.0))

    assert (before, aggregator.next_due_at) == (math.inf, 11.0)


def test_counters_of_an_ended_worker_stay_and_gauges_do_not(aggregator, worker_table):
    aggregator.record(3, snapshot_of(4, in_flight=2))
    worker_table.slots[2].record_exit(1.0)
    aggregator.remove_worker(3, snapshot_of(4, in_flight=2))
    list(aggregator.collect(1, 7, 1.0))
    aggregator.record(2, snapshot_of(10))

    assert replies_in(aggregator.replies(1.0)) == [(1, 14, {UP: 14, FLIGHT: 0})]


def test_counters_of_several_ended_workers_add_up(aggregator):
    for requests in (1, 2, 3, None):
        aggregator.remove_worker(99, None if requests is None else snapshot_of(requests, cpu=1.0))
    list(aggregator.collect(1, 7, 0.0))
    aggregator.record(2, snapshot_of(0))
    aggregator.record(3, snapshot_of(0))

    ((_, reply),) = aggregator.replies(0.0)
    assert replies_in([(1, reply)]) == [(1, 6, {UP: 6, FLIGHT: 0})]
    assert reply["snapshot"]["process"]["process_cpu_seconds_total"] >= 3.0


def test_an_ended_worker_delays_no_reply_and_gets_none(aggregator, worker_table):
    list(aggregator.collect(1, 7, 0.0))
    list(aggregator.collect(2, 8, 0.0))
    worker_table.slots[1].record_exit(0.0)
    aggregator.remove_worker(2, None)
    aggregator.record(3, snapshot_of(5))

    assert replies_in(aggregator.replies(0.0)) == [(1, 5, {UP: 5, FLIGHT: 0})]


def test_a_single_worker_gets_its_reply_at_once_with_the_restarts(aggregator, worker_table):
    worker_table.slots[1].record_exit(0.0)
    worker_table.slots[2].record_exit(0.0)
    aggregator.restarts = 2

    ((pid, reply),) = aggregator.collect(1, 7, 0.0)

    assert (pid, reply["snapshot"]["levels"]) == (1, {RESTARTS: 2})


def test_a_report_without_process_metrics_keeps_the_last_ones(aggregator):
    aggregator.record(2, snapshot_of(10, cpu=3.0))
    brief = {key: value for key, value in snapshot_of(11).items() if key != "process"}
    aggregator.record(2, brief)
    list(aggregator.collect(1, 7, 0.0))
    aggregator.record(3, snapshot_of(0))
    aggregator.record(2, brief)

    ((_, reply),) = aggregator.replies(0.0)
    assert reply["snapshot"]["process"]["process_cpu_seconds_total"] >= 3.0
    assert replies_in([(1, reply)]) == [(1, 11, {UP: 11, FLIGHT: 0})]
