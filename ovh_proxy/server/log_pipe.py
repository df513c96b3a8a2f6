"""A stream for log lines that never holds up the loop that writes them."""

import asyncio
import os
import select
import stat

# Linux, and POSIX by name (PIPE_BUF): a pipe that poll() calls writable takes so much at once.
_PIECE = 4096
# What waits for a reader that has stopped reading; more is dropped, and counted.
_MAX_WAITING = 1_048_576
_AGAIN_S = 0.05


class BufferedLogStream:
    """Lines for a descriptor, written together at the end of each turn of the loop.

    A pipe whose reader has stopped would block the process; here it costs log lines.

    Attributes:
        dropped: lines that found no room.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._is_due = False
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poll = None if is_file or not hasattr(select, "poll") else select.poll()
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def isatty(self) -> bool:
        """Whether somebody reads along at a terminal."""
        return os.isatty(self._descriptor)

    def write(self, line: str) -> None:
        """Takes a line; it is written in a moment."""
        if len(self._waiting) + len(line) > _MAX_WAITING:
            self.dropped += 1
            return
        self._waiting += line.encode("utf-8", "replace")
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._write_out)

    def flush(self) -> None:
        """Nothing: `write` sees to it."""

    def close(self) -> None:
        """Writes what can be written without waiting."""
        self._write_out()

    def _write_out(self) -> None:
        self._is_due = False
        while self._waiting:
            if self._poll is not None and not self._poll.poll(0):
                self._try_later()
                return
            piece = self._waiting if self._poll is None else self._piece()
            try:
                written = os.write(self._descriptor, piece)
            except BlockingIOError:
                self._try_later()
                return
            except OSError:
                # A log that nobody reads any more stops no request.
                self.dropped += self._waiting.count(b"\n")
                written = len(self._waiting)
            del self._waiting[:written]

    def _piece(self) -> bytearray:
        """As much as a pipe takes: whole lines, between which another process may write its own."""
        end = self._waiting.rfind(b"\n", 0, _PIECE) + 1
        return self._waiting[: end or _PIECE]

    def _try_later(self) -> None:
        if not self._loop.is_closed():
            self._is_due = True
            self._loop.call_later(_AGAIN_S, self._write_out)
