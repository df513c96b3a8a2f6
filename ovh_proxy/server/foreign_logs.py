"""What libraries log, told by name and place alone: their texts may hold what a client sent."""

import logging

from ovh_proxy.server.logs import Log


class _ForeignRecords(logging.Handler):
    """Tells that a library complained, and where; its text may hold what a client sent."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        defect = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write(
            "warning", "a library complained", logger=record.name, line=record.lineno, defect=defect
        )


def keep_foreign_logs(log: Log) -> None:
    """Silences aiohttp's loggers, and lets asyncio's through without their texts."""
    logging.getLogger("aiohttp").disabled = True
    for name in ("aiohttp.server", "aiohttp.access", "aiohttp.internal", "aiohttp.web"):
        logging.getLogger(name).disabled = True
    asyncio_logger = logging.getLogger("asyncio")
    asyncio_logger.handlers[:] = [_ForeignRecords(log)]
    asyncio_logger.propagate = False
