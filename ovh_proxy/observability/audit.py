"""The audit stream: who called what, and with which outcome."""

import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ovh_proxy.core.redaction import printable
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.listeners.sockets import user_of
from ovh_proxy.logs import Log
from ovh_proxy.observability.counters import outcome_of
from ovh_proxy.server.audit_file import AuditFile

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
            exchange.caller = user_of(end)
            return
        name = connection.transport.get_extra_info("peername")
        exchange.caller = name[0] if isinstance(name, tuple) else None

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
    caller, query_id = exchange.caller, exchange.query_id
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
