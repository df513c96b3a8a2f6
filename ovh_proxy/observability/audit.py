"""The audit log: who called what with which outcome, in a file that is only appended to."""

import json
import os
import socket
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.redaction import printable
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.listeners.sockets import peer_uid
from ovh_proxy.logs import Log
from ovh_proxy.observability.counters import outcome_of

# O_APPEND: each write goes to the end of the file, whoever else appends. Linux does not mix up two
# writes to a plain file, and a line is far below the 4096 bytes that even a pipe takes at once.
# O_NONBLOCK: a named pipe without a reader must not hang the start; plain files do not know it.
_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)


class AuditFile:
    """Appends whole lines.

    Attributes:
        lost: lines that could not be written.
    """

    def __init__(self, path: str, log: Log, write: Callable[[int, bytes], int] = os.write) -> None:
        """
        Raises:
            UsageError: the file cannot be opened; it says why.
        """
        self._path = path
        self._log = log
        self._write = write
        self._is_cut = False
        self._is_failing = False
        self.lost = 0
        try:
            self._descriptor = _open(path)
        except (OSError, ValueError) as failure:
            raise UsageError(
                f"log.audit: {path} cannot be opened ({_reason(failure)}); "
                "name a plain file in a directory that this user may write to"
            ) from failure

    def append(self, line: str) -> None:
        """Writes a line; a failure costs the line, and stops nothing."""
        # A full disk may have cut the last line short.
        text = ("\n" + line if self._is_cut else line).encode("ascii")
        try:
            written = self._write(self._descriptor, text)
        except OSError as failure:
            self._lose(_reason(failure))
            return
        self._is_cut = written < len(text)
        if self._is_cut:
            self._lose("a line was cut short")
        elif self._is_failing:
            self._is_failing = False
            self._log.write("info", "the audit file takes lines again", lost=self.lost)

    def reopen(self) -> None:
        """Goes on in the file that has the name now, once another has been moved away."""
        try:
            descriptor = _open(self._path)
        except (OSError, ValueError) as failure:
            self._log.write(
                "error",
                "the audit file cannot be opened again; lines go on to the one before",
                file=self._path,
                reason=_reason(failure),
            )
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._is_cut = False

    def close(self) -> None:
        """Ends it."""
        os.close(self._descriptor)

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if not self._is_failing:
            self._is_failing = True
            self._log.write(
                "error",
                "the audit file takes no lines; requests go on without them",
                file=self._path,
                reason=reason,
            )


def _open(path: str) -> int:
    descriptor = os.open(path, _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is no plain file")
    return descriptor


def _reason(failure: OSError | ValueError) -> str:
    # The system's own words for its error number; they name nothing.
    return failure.strerror or "-" if isinstance(failure, OSError) else str(failure)


_UNIX = getattr(socket, "AF_UNIX", None)


class Audit:
    """Writes one line for each request that was decided on, once it has ended."""

    def __init__(self, file: AuditFile, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._file.lost

    def begin(
        self, exchange: Exchange, request: ClientRequest | None, connection: ClientConnection
    ) -> None:
        """Looks who calls, because at the end the connection may be gone."""
        if connection.transport is None:
            return
        end = connection.transport.get_extra_info("socket")
        if end is not None and end.family == _UNIX:
            exchange.peer = peer_uid(end)
            return
        name = connection.transport.get_extra_info("peername")
        exchange.peer = name[0] if isinstance(name, tuple) else None

    def end(self, exchange: Exchange) -> None:
        """Writes the line; the proxy's own routes get none."""
        if not exchange.is_own_route:
            self._file.append(_line(exchange, self._now()))

    def reopen(self) -> None:
        """Goes on in the file that has the name now."""
        self._file.reopen()

    def close(self) -> None:
        """Ends the stream."""
        self._file.close()


def open_audit(path: str | None, log: Log) -> Audit | None:
    """The stream to a file; None where no file is named.

    Raises:
        UsageError: the file cannot be opened.
    """
    return None if path is None else Audit(AuditFile(path, log))


def _line(exchange: Exchange, now: float) -> str:
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    caller, query_id = exchange.peer, exchange.query_id
    fields = {
        "time": moment.replace("+00:00", "Z"),
        "request_id": exchange.request_id,
        "client": exchange.client,
        "peer": caller if isinstance(caller, str) else None,
        "uid": caller if isinstance(caller, int) else None,
        "profile": exchange.profile,
        "method": exchange.method,
        "path": exchange.target.partition("?")[0],
        "status": exchange.status,
        "outcome": outcome_of(exchange),
        "error": exchange.code,
        "upstream_status": exchange.upstream_status,
        "query_id": None if query_id is None else printable(query_id),
    }
    return json.dumps({key: value for key, value in fields.items() if value is not None}) + "\n"
