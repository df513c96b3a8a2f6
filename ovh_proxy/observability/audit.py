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

# O_APPEND: each write goes to the end of the file, even if other processes append. Linux does not
# mix two writes to a regular file, and a line is far below the 4096 bytes that even a pipe accepts
# at once. O_NONBLOCK: a named pipe without a reader must not block the start; regular files
# ignore it.
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
            UsageError: the file cannot be opened.
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
                f"log.audit: cannot open {path} ({_reason(failure)}); "
                "use a regular file in a directory that this user can write to"
            ) from failure

    def append(self, line: str) -> None:
        """Writes a line; a failure loses the line, and does not affect requests."""
        # A full disk may have truncated the last line.
        text = ("\n" + line if self._is_cut else line).encode("ascii")
        try:
            written = self._write(self._descriptor, text)
        except OSError as failure:
            self._lose(_reason(failure))
            return
        self._is_cut = written < len(text)
        if self._is_cut:
            self._lose("a line was truncated")
        elif self._is_failing:
            self._is_failing = False
            self._log.write("info", "the audit file is writable again", lost=self.lost)

    def reopen(self) -> None:
        """Opens the file with this name again, after the previous one was renamed."""
        try:
            descriptor = _open(self._path)
        except (OSError, ValueError) as failure:
            self._log.write(
                "error",
                "cannot reopen the audit file; continuing with the previous one",
                file=self._path,
                reason=_reason(failure),
            )
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._is_cut = False

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if not self._is_failing:
            self._is_failing = True
            self._log.write(
                "error",
                "cannot write to the audit file; requests continue without audit lines",
                file=self._path,
                reason=reason,
            )


def _open(path: str) -> int:
    descriptor = os.open(path, _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is not a regular file")
    return descriptor


def _reason(failure: OSError | ValueError) -> str:
    # The system's text for the error number, which contains no names.
    return failure.strerror or "-" if isinstance(failure, OSError) else str(failure)


_UNIX = getattr(socket, "AF_UNIX", None)


class Audit:
    """Writes one line for each request that was accepted or rejected, once it has ended."""

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
        """Records the peer, because the connection may be closed at the end."""
        if connection.transport is None:
            return
        client = connection.transport.get_extra_info("socket")
        if client is not None and client.family == _UNIX:
            exchange.peer = peer_uid(client)
            return
        name = connection.transport.get_extra_info("peername")
        exchange.peer = name[0] if isinstance(name, tuple) else None

    def end(self, exchange: Exchange) -> None:
        """Writes the line; the proxy's own routes get none."""
        if not exchange.is_own_route:
            self._file.append(_line(exchange, self._now()))

    def reopen(self) -> None:
        """Opens the file again, after it was renamed."""
        self._file.reopen()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def open_audit(path: str | None, log: Log) -> Audit | None:
    """Opens the audit log; returns None if no file is set.

    Raises:
        UsageError: the file cannot be opened.
    """
    return None if path is None else Audit(AuditFile(path, log))


def _line(exchange: Exchange, now: float) -> str:
    ended = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    peer, query_id = exchange.peer, exchange.query_id
    fields = {
        "time": ended.replace("+00:00", "Z"),
        "request_id": exchange.request_id,
        "client": exchange.client,
        "peer": peer if isinstance(peer, str) else None,
        "uid": peer if isinstance(peer, int) else None,
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
