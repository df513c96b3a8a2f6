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
    """A pipe that receives this process's signals; handlers are restored at the end."""
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


def test_every_signal_is_received_as_often_as_it_was_sent(pipe):
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
        os.kill(os.getpid(), number)
    wait(pipe)

    assert pipe.received() == [signal.SIGHUP, signal.SIGTERM, signal.SIGTERM]
    assert pipe.received() == []


def test_sigchld_comes_after_the_stop_signal_that_may_have_caused_it(pipe):
    for number in (signal.SIGCHLD, signal.SIGTERM):
        os.kill(os.getpid(), number)
    wait(pipe)

    assert pipe.received() == [signal.SIGTERM, signal.SIGCHLD]


def test_a_blocked_signal_is_received_afterwards(pipe):
    with pipe.blocked():
        # To this thread, because another thread of the test could receive a process signal.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        blocked = pipe.received()
    wait(pipe)

    assert (blocked, pipe.received()) == ([], [signal.SIGTERM])
