"""The signals of a process without an event loop, told by a pipe."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT)


class SignalPipe:
    """Takes the signals that a supervisor goes by."""

    def __init__(self) -> None:
        self._numbers = (*STOPS, signal.SIGHUP, signal.SIGCHLD)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _leave_to_pipe)

    def fileno(self) -> int:
        return self._reader.fileno()

    def received(self) -> list[int]:
        """Those that came since the last time; ends of children after all others.

        A stop that is for all processes of a group may have ended a child as well.
        """
        try:
            numbers = list(self._reader.recv(4096))
        except BlockingIOError:
            return []
        return sorted(numbers, key=lambda number: number == signal.SIGCHLD)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds signals back: one between `fork` and `leave` would be told in the wrong process."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def leave(self) -> None:
        """In a child: takes none any more; what is for the supervisor does nothing here."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()


def _leave_to_pipe(*_: object) -> None:
    # A handler has to be there, or Python would not write the number to the pipe. Unlike SIG_IGN
    # it is not handed on to programs that are executed.
    return
