"""Log records as text or JSON lines, on streams that never block; libraries' records without their texts."""  # noqa: E501 - the caption in one line

import asyncio
import errno
import json
import logging
import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from ovh_proxy.core.redaction import printable

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


LEVELS = ("debug", "info", "warning", "error")


_AMBIGUOUS = re.compile(r'[\s="]|^$')


Field = str | int | float | None


class Stream(Protocol):
    """As much of a text stream as a log needs."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


class Log:
    """Writes one line a record to stderr.

    Not `logging`: it costs several times as much a record, and its handlers print tracebacks.
    """

    def __init__(
        self,
        level: str = "info",
        form: str = "auto",
        stream: Stream | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            level: the least that is written, one of LEVELS.
            form: `text`, `json`, or `auto`: text where `stream` is a terminal.
        """
        self._stream = sys.stderr if stream is None else stream
        self._least = LEVELS.index(level)
        self.is_json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._now = now
        self._second = -1
        self._moment = ""

    @property
    def dropped(self) -> int:
        """Lines that nobody took in time."""
        return getattr(self._stream, "dropped", 0)

    def set_level(self, level: str) -> None:
        """The least that is written from now on, one of LEVELS."""
        self._least = LEVELS.index(level)

    def writes(self, level: str) -> bool:
        """Whether a record of a level is written at all."""
        return LEVELS.index(level) >= self._least

    def write(self, level: str, message: str, **fields: Field) -> None:
        """One record; fields that are None are left out."""
        if self.writes(level):
            render = _as_json if self.is_json else _as_text
            self.put(render(self.timestamp(), level, message, fields))

    def put(self, line: str) -> None:
        """Writes a line that was rendered elsewhere."""
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            # A log that nobody reads any more stops no request.
            return

    def timestamp(self) -> str:
        """The time of a line that is written now: UTC, with milliseconds."""
        now = self._now()
        second = int(now)
        if second != self._second:
            # Once a second: to write the date down takes longer than the rest of the line.
            self._second = second
            self._moment = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._moment}.{int((now - second) * 1000):03d}Z"


def _as_json(moment: str, level: str, message: str, fields: dict[str, Field]) -> str:
    known = {key: value for key, value in fields.items() if value is not None}
    return json.dumps({"time": moment, "level": level, "message": message, **known}) + "\n"


def _as_text(moment: str, level: str, message: str, fields: dict[str, Field]) -> str:
    known = " ".join(
        f"{key}={_quoted(str(value))}" for key, value in fields.items() if value is not None
    )
    return f"{moment} {level.upper():7} {printable(message)} {known}".rstrip() + "\n"


def _quoted(value: str) -> str:
    # Whatever OVHcloud or a client wrote, it cannot look like another field.
    shown = printable(value)
    return json.dumps(shown, ensure_ascii=False) if _AMBIGUOUS.search(shown) else shown


# By the number of the system's error: what a person can do something about.
_EXHAUSTED: dict[int | None, str] = {
    errno.EMFILE: "no descriptor is left for a connection (ulimit -n)",
    errno.ENFILE: "the system has no descriptor left for a connection",
}


class _LibraryRecords(logging.Handler):
    """Tells that a library complained, and where; its text may hold what a client sent."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._last: tuple[object, ...] = ()

    def emit(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[1] if record.exc_info else None
        defect = None if failure is None else type(failure).__name__
        number = failure.errno if isinstance(failure, OSError) else None
        what = (record.name, record.lineno, defect, number, int(record.created))
        if what == self._last:
            return  # asyncio complains some thousand times at once where it cannot accept
        self._last = what
        told = _EXHAUSTED.get(number, "a library complained")
        self._log.write("warning", told, logger=record.name, line=record.lineno, defect=defect)


class _Unraisables:
    """Leaves out the traceback by which Python tells of a TLS client's name that is no ASCII."""

    def __init__(self) -> None:
        self._before = sys.unraisablehook

    def __call__(self, told: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(told.object, bytes) and isinstance(told.exc_value, UnicodeDecodeError)):
            self._before(told)


def capture_library_logs(log: Log) -> None:
    """Silences aiohttp's loggers, and lets asyncio's through without their texts."""
    if not isinstance(sys.unraisablehook, _Unraisables):
        sys.unraisablehook = _Unraisables()
    logging.getLogger("aiohttp").disabled = True
    for name in ("aiohttp.server", "aiohttp.access", "aiohttp.internal", "aiohttp.web"):
        logging.getLogger(name).disabled = True
    asyncio_logger = logging.getLogger("asyncio")
    asyncio_logger.handlers[:] = [_LibraryRecords(log)]
    asyncio_logger.propagate = False
