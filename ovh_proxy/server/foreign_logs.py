"""What libraries log, told by name and place alone: their texts may hold what a client sent."""

import errno
import logging
import sys

from ovh_proxy.logs import Log

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
