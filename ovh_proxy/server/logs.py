"""Log records as text or JSON lines."""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from ovh_proxy.core.redaction import printable
from ovh_proxy.server.exchange import Exchange

LEVELS = ("debug", "info", "warning", "error")

_AMBIGUOUS = re.compile(r'[\s="]|^$')

Field = str | int | float | None


class Log:
    """Writes one line a record to stderr.

    Not `logging`: it costs several times as much a record, and its handlers print tracebacks.
    """

    def __init__(
        self,
        level: str = "info",
        form: str = "auto",
        stream: TextIO | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            level: the least that is written, one of LEVELS.
            form: `text`, `json`, or `auto`: text where `stream` is a terminal.
        """
        self._stream = sys.stderr if stream is None else stream
        self._least = LEVELS.index(level)
        is_json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._render = _as_json if is_json else _as_text
        self._now = now

    def set_level(self, level: str) -> None:
        """The least that is written from now on, one of LEVELS."""
        self._least = LEVELS.index(level)

    def writes(self, level: str) -> bool:
        """Whether a record of a level is written at all."""
        return LEVELS.index(level) >= self._least

    def write(self, level: str, message: str, **fields: Field) -> None:
        """One record; fields that are None are left out."""
        if not self.writes(level):
            return
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        line = self._render(moment.replace("+00:00", "Z"), level, message, fields)
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            # A log that nobody reads any more stops no request.
            return

    def request(self, exchange: Exchange, ended: float) -> None:
        """The line of one request, after it."""
        level = "debug" if exchange.is_own_route else "info"
        if not self.writes(level):
            return
        self.write(
            level,
            "request",
            request_id=exchange.request_id,
            client=exchange.client,
            profile=exchange.profile,
            method=exchange.method,
            path=exchange.target,
            status=exchange.status,
            error=exchange.code,
            bytes_in=exchange.body_bytes,
            bytes_out=exchange.sent_bytes,
            total_ms=round((ended - exchange.began) * 1000, 2),
            upstream_ms=round(exchange.upstream_s * 1000, 2),
            attempts=exchange.attempts.count,
            query_id=exchange.query_id,
        )


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
