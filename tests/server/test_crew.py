"""When a worker that ended is replaced."""

import math

import pytest

from ovh_proxy.server.crew import Worker, WorkerTable, pause_after


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [(1, 0.1), (2, 0.2), (3, 0.4), (9, 25.6), (10, 30.0), (5000, 30.0)],
    ids=str,
)
def test_the_pause_doubles_up_to_a_bound(deaths, expected):
    assert pause_after(deaths) == pytest.approx(expected)


def filled(crew, began=0.0):
    for place in crew.places:
        place.worker = Worker(1000 + place.number, None, began)
    return crew


def test_all_places_are_due_at_the_start():
    crew = WorkerTable(3)

    assert [place.number for place in crew.due(0.0)] == [1, 2, 3]
    assert crew.next_due_at == 0.0


def test_deaths_in_a_row_are_waited_for_longer_and_longer():
    crew = WorkerTable(1)
    pauses = []

    for second in range(4):
        filled(crew, began=float(second))
        pauses.append(crew.places[0].vacate(second + 0.5))

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8])


def test_a_worker_that_had_lived_for_long_is_replaced_soon():
    (place,) = filled(WorkerTable(1)).places
    place.deaths = 9

    assert place.vacate(60.0) == pytest.approx(0.1)


def test_a_place_is_due_when_its_pause_is_over():
    crew = filled(WorkerTable(2))
    crew.places[1].vacate(10.0)

    assert crew.next_due_at == pytest.approx(10.1)
    assert list(crew.due(10.05)) == []
    assert list(crew.due(10.2)) == [crew.places[1]]


def test_a_full_crew_waits_for_nobody_and_is_complete_once_all_accept():
    crew = filled(WorkerTable(2))
    crew.workers[0].is_ready = True
    before = crew.is_complete
    crew.workers[1].is_ready = True

    assert (crew.next_due_at, before, crew.is_complete) == (math.inf, False, True)


def test_a_crew_with_a_vacant_place_is_not_complete():
    crew = filled(WorkerTable(2))
    for worker in crew.workers:
        worker.is_ready = True

    crew.places[0].vacate(1.0)

    assert not crew.is_complete
    assert crew.pids == [1002]
    assert crew.find(1001) is None
