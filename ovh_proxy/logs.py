"""Log records as text or JSON lines."""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from ovh_proxy.core.redaction import printable

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
