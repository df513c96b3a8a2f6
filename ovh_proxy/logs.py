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

# PIPE_BUF on Linux: a pipe that poll() reports as writable accepts this many bytes at once.
_PIPE_BUF = 4096
# The buffer for a reader that is too slow; more is dropped and counted.
_MAX_BUFFERED = 1_048_576
_RETRY_S = 0.05


class UnbufferedLogStream:
    """Writes each line to a descriptor immediately, or drops it: it never blocks.

    Attributes:
        dropped: lines that could not be written.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poll = None if is_file or not hasattr(select, "poll") else select.poll()
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, line: str) -> None:
        # A writable pipe accepts 4096 bytes at once; the supervisor's lines are short.
        if self._poll is not None and not self._poll.poll(0):
            self.dropped += 1
            return
        os.write(self._descriptor, line.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Does nothing: `write` writes or schedules the output."""


class BufferedLogStream(UnbufferedLogStream):
    """Writes lines to a descriptor, together at the end of each loop iteration.

    A pipe whose reader has stopped would block the process; here, lines are dropped instead.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__(descriptor)
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._is_scheduled = False

    def write(self, line: str) -> None:
        """Buffers a line, which is written soon."""
        if len(self._buffer) + len(line) > _MAX_BUFFERED:
            self.dropped += 1
            return
        self._buffer += line.encode("utf-8", "replace")
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush_buffer)

    def close(self) -> None:
        """Writes what can be written without blocking."""
        self._flush_buffer()

    def _flush_buffer(self) -> None:
        self._is_scheduled = False
        while self._buffer:
            if self._poll is not None and not self._poll.poll(0):
                self._retry_later()
                return
            chunk = self._buffer if self._poll is None else self._next_chunk()
            try:
                written = os.write(self._descriptor, chunk)
            except BlockingIOError:
                self._retry_later()
                return
            except OSError:
                # A closed log must not stop requests.
                self.dropped += self._buffer.count(b"\n")
                written = len(self._buffer)
            del self._buffer[:written]

    def _next_chunk(self) -> bytearray:
        """Returns whole lines that a pipe accepts at once: other processes write in between."""
        end = self._buffer.rfind(b"\n", 0, _PIPE_BUF) + 1
        return self._buffer[: end or _PIPE_BUF]

    def _retry_later(self) -> None:
        if not self._loop.is_closed():
            self._is_scheduled = True
            self._loop.call_later(_RETRY_S, self._flush_buffer)


LEVELS = ("debug", "info", "warning", "error")
_AMBIGUOUS = re.compile(r'[\s="]|^$')
Field = str | int | float | None


class Stream(Protocol):
    """The part of a text stream that a log needs."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


class Log:
    """Writes one line per record to stderr.

    `logging` is not used: it costs several times as much, and its handlers print tracebacks.
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
            level: the minimum that is written, one of LEVELS.
            form: `text`, `json`, or `auto`: text if `stream` is a terminal.
        """
        self._stream = sys.stderr if stream is None else stream
        self._minimum = LEVELS.index(level)
        self.is_json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._now = now
        self._second = -1
        self._second_text = ""

    @property
    def dropped(self) -> int:
        """Lines dropped because they were read too slowly."""
        return getattr(self._stream, "dropped", 0)

    def set_level(self, level: str) -> None:
        """Sets the minimum that is written, one of LEVELS."""
        self._minimum = LEVELS.index(level)

    def writes(self, level: str) -> bool:
        """Whether records of a level are written."""
        return LEVELS.index(level) >= self._minimum

    def write(self, level: str, message: str, **fields: Field) -> None:
        """Writes one record; fields that are None are omitted."""
        if self.writes(level):
            render = _as_json if self.is_json else _as_text
            self.put(render(self.timestamp(), level, message, fields))

    def put(self, line: str) -> None:
        """Writes a formatted line."""
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            # A closed log must not stop requests.
            return

    def timestamp(self) -> str:
        """Returns the current time for a line: UTC, with milliseconds."""
        now = self._now()
        second = int(now)
        if second != self._second:
            # Once per second: formatting the date takes longer than the rest of the line.
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"


def _as_json(timestamp: str, level: str, message: str, fields: dict[str, Field]) -> str:
    present = {key: value for key, value in fields.items() if value is not None}
    return json.dumps({"time": timestamp, "level": level, "message": message, **present}) + "\n"


def _as_text(timestamp: str, level: str, message: str, fields: dict[str, Field]) -> str:
    present = " ".join(
        f"{key}={_quoted(str(value))}" for key, value in fields.items() if value is not None
    )
    return f"{timestamp} {level.upper():7} {printable(message)} {present}".rstrip() + "\n"


def _quoted(value: str) -> str:
    # A value from OVHcloud or a client cannot look like another field.
    text = printable(value)
    return json.dumps(text, ensure_ascii=False) if _AMBIGUOUS.search(text) else text


# By the system's error number: problems that the operator can fix.
_EXHAUSTED: dict[int | None, str] = {
    errno.EMFILE: "cannot accept a connection: no file descriptors left (ulimit -n)",
    errno.ENFILE: "cannot accept a connection: the system has no file descriptors left",
}


class _LibraryRecords(logging.Handler):
    """Logs where a library reported a problem; its text may contain what a client sent."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._last: tuple[object, ...] = ()

    def emit(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[1] if record.exc_info else None
        defect = None if failure is None else type(failure).__name__
        number = failure.errno if isinstance(failure, OSError) else None
        key = (record.name, record.lineno, defect, number, int(record.created))
        if key == self._last:
            return  # asyncio logs thousands of records at once when it cannot accept
        self._last = key
        message = _EXHAUSTED.get(number, "a library reported a problem")
        self._log.write("warning", message, logger=record.name, line=record.lineno, defect=defect)


class _UnraisableHook:
    """Suppresses Python's traceback for a TLS client whose server name is not ASCII."""

    def __init__(self) -> None:
        self._previous = sys.unraisablehook

    def __call__(self, args: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(args.object, bytes) and isinstance(args.exc_value, UnicodeDecodeError)):
            self._previous(args)


def capture_library_logs(log: Log) -> None:
    """Silences aiohttp's loggers, and logs asyncio's records without their texts."""
    if not isinstance(sys.unraisablehook, _UnraisableHook):
        sys.unraisablehook = _UnraisableHook()
    logging.getLogger("aiohttp").disabled = True
    for name in ("aiohttp.server", "aiohttp.access", "aiohttp.internal", "aiohttp.web"):
        logging.getLogger(name).disabled = True
    asyncio_logger = logging.getLogger("asyncio")
    asyncio_logger.handlers[:] = [_LibraryRecords(log)]
    asyncio_logger.propagate = False
