"""The signals of a process without an event loop."""

import os
import select
import signal
import sys
import threading

import pytest

from ovh_proxy.workers.processes import SignalPipe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are not for Windows")

BOUND_MS = 5000


@pytest.fixture
def pipe():
    """A pipe that takes this process's signals; they are its own again at the end."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    handlers = {number: signal.getsignal(number) for number in numbers}
    descriptor = signal.set_wakeup_fd(-1)
    made = SignalPipe()
    yield made
    made.detach()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(descriptor)


def wait(pipe):
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    assert poll.poll(BOUND_MS)


def test_signals_are_told_each_time_that_they_come(pipe):
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
        os.kill(os.getpid(), number)
    wait(pipe)

    assert pipe.received() == [signal.SIGHUP, signal.SIGTERM, signal.SIGTERM]
    assert pipe.received() == []


def test_the_end_of_a_child_is_told_after_the_stop_that_may_have_ended_it(pipe):
    for number in (signal.SIGCHLD, signal.SIGTERM):
        os.kill(os.getpid(), number)
    wait(pipe)

    assert pipe.received() == [signal.SIGTERM, signal.SIGCHLD]


def test_a_signal_that_comes_while_they_are_held_comes_afterwards(pipe):
    with pipe.blocked():
        # Not to the process: a thread of the test's own could take it.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        blocked = pipe.received()
    wait(pipe)

    assert (blocked, pipe.received()) == ([], [signal.SIGTERM])
