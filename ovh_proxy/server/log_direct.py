"""A stream for the log lines of a process without an event loop."""

import os
import select
import stat


class UnbufferedLogStream:
    """Writes a line at once where there is room for it, and never waits.

    Attributes:
        dropped: lines that found no room.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._poll = None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def isatty(self) -> bool:
        """Whether somebody reads along at a terminal."""
        return os.isatty(self._descriptor)

    def write(self, line: str) -> None:
        # A pipe that can be written to takes 4096 bytes at once; the supervisor's lines are short.
        if self._poll is not None and not self._poll.poll(0):
            self.dropped += 1
            return
        os.write(self._descriptor, line.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Nothing is held back."""
