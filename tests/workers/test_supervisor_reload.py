"""A reload of all workers, as the service manager sees it."""

import pytest

from ovh_proxy.workers.supervisor import ReloadBarrier


class Told(list):
    """What the service manager is told."""

    def ready(self):
        self.append("ready")

    def reloading(self):
        self.append("reloading")

    def stopping(self):
        self.append("stopping")


@pytest.fixture
def told():
    return Told()


def test_it_has_ended_when_the_last_worker_has_read(told):
    reload = ReloadBarrier(told)

    reload.begin([1, 2])
    reload.record(2)
    before = [*told]
    reload.record(1)

    assert (before, told) == (["reloading"], ["reloading", "ready"])


def test_who_was_not_meant_or_says_so_twice_ends_nothing(told):
    reload = ReloadBarrier(told)
    reload.record(1)
    reload.begin([1, 2])

    for pid in (1, 1, 3):
        reload.record(pid)

    assert told == ["reloading"]


def test_another_one_begins_it_anew(told):
    reload = ReloadBarrier(told)
    reload.begin([1, 2])
    reload.record(1)
    reload.begin([1, 2])

    for pid in (2, 1):
        reload.record(pid)

    assert told == ["reloading", "reloading", "ready"]
