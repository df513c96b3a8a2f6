"""When a worker that ended is replaced."""

import math

import pytest

from ovh_proxy.workers.worker_table import Worker, WorkerTable, restart_delay


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(1, 0.1), (2, 0.2), (3, 0.4), (9, 25.6), (10, 30.0), (5000, 30.0)],
    ids=str,
)
def test_the_restart_delay_doubles_up_to_a_maximum(failures, expected):
    assert restart_delay(failures) == pytest.approx(expected)


def filled(worker_table, started_at=0.0):
    for slot in worker_table.slots:
        slot.worker = Worker(1000 + slot.number, None, started_at)
    return worker_table


def test_all_slots_are_due_at_the_start():
    worker_table = WorkerTable(3)

    assert [slot.number for slot in worker_table.due(0.0)] == [1, 2, 3]
    assert worker_table.next_due_at == 0.0


def test_the_delay_grows_with_consecutive_early_exits():
    worker_table = WorkerTable(1)
    delays = []

    for second in range(4):
        filled(worker_table, started_at=float(second))
        delays.append(worker_table.slots[0].record_exit(second + 0.5))

    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8])


def test_a_worker_that_ran_for_long_is_replaced_soon():
    (slot,) = filled(WorkerTable(1)).slots
    slot.failures = 9

    assert slot.record_exit(60.0) == pytest.approx(0.1)


def test_a_slot_is_due_when_its_delay_is_over():
    worker_table = filled(WorkerTable(2))
    worker_table.slots[1].record_exit(10.0)

    assert worker_table.next_due_at == pytest.approx(10.1)
    assert list(worker_table.due(10.05)) == []
    assert list(worker_table.due(10.2)) == [worker_table.slots[1]]


def test_a_full_table_has_nothing_due_and_is_complete_once_all_accept():
    worker_table = filled(WorkerTable(2))
    worker_table.workers[0].is_ready = True
    before = worker_table.is_complete
    worker_table.workers[1].is_ready = True

    assert (worker_table.next_due_at, before, worker_table.is_complete) == (math.inf, False, True)


def test_a_table_with_an_empty_slot_is_not_complete():
    worker_table = filled(WorkerTable(2))
    for worker in worker_table.workers:
        worker.is_ready = True

    worker_table.slots[0].record_exit(1.0)

    assert not worker_table.is_complete
    assert worker_table.pids == [1002]
    assert worker_table.find(1001) is None
