"""A reload of all workers, as the service manager sees it."""

import pytest

from ovh_proxy.workers.supervisor import ReloadBarrier


class Notifications(list):
    """Records notifications of the service manager."""

    def ready(self):
        self.append("ready")

    def reloading(self):
        self.append("reloading")

    def stopping(self):
        self.append("stopping")


@pytest.fixture
def notifications():
    return Notifications()


def test_a_reload_is_done_when_the_last_worker_has_reloaded(notifications):
    reload = ReloadBarrier(notifications)

    reload.begin([1, 2])
    reload.record(2)
    before = [*notifications]
    reload.record(1)

    assert (before, notifications) == (["reloading"], ["reloading", "ready"])


def test_other_and_repeated_workers_do_not_complete_a_reload(notifications):
    reload = ReloadBarrier(notifications)
    reload.record(1)
    reload.begin([1, 2])

    for pid in (1, 1, 3):
        reload.record(pid)

    assert notifications == ["reloading"]


def test_a_second_reload_starts_over(notifications):
    reload = ReloadBarrier(notifications)
    reload.begin([1, 2])
    reload.record(1)
    reload.begin([1, 2])

    for pid in (2, 1):
        reload.record(pid)

    assert notifications == ["reloading", "reloading", "ready"]
