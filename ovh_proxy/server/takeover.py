"""Takes TLS over in place, on a connection that was made for an endpoint's host."""

import asyncio
import ssl

from ovh_proxy.http1.connection import ClientConnection, RequestService
from ovh_proxy.logs import Log
from ovh_proxy.policy.client_auth import EntryPoint

# How long a client may take to answer the end of TLS; asyncio would wait for half a minute.
_FAREWELL_S = 2.0


class _Landing(asyncio.Protocol):
    """Keeps what comes with the end of a handshake, before anybody can be told of it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.is_lost = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: BaseException | None) -> None:
        self.is_lost = True


async def terminate_tls(
    outer: ClientConnection,
    entry_point: EntryPoint,
    front: RequestService,
    context: ssl.SSLContext,
    log: Log,
) -> None:
    """Serves what the client asks within TLS; returns once the handshake has ended.

    Args:
        entry_point: of the requests within; front: what serves them.
    """
    landing = _Landing()
    transport = outer.hand_over()
    try:
        inner = await asyncio.get_running_loop().start_tls(
            transport,
            landing,
            context,
            server_side=True,
            ssl_handshake_timeout=outer.handshake_timeout,
            ssl_shutdown_timeout=_FAREWELL_S,
        )
    except OSError as failure:
        transport.abort()
        _tell(failure, entry_point, log)
        return
    if inner is None or landing.is_lost or inner.is_closing():
        return
    connection = outer.inside(entry_point, front)
    connection.connection_made(inner)
    inner.set_protocol(connection)
    if landing.received:
        connection.data_received(bytes(landing.received))


def _tell(failure: OSError, entry_point: EntryPoint, log: Log) -> None:
    # Most often it is this: the client was not told of our authority, and sends an alert.
    if isinstance(failure, ssl.SSLError) and "ALERT" in (failure.reason or ""):
        log.write(
            "warning",
            "a client broke the TLS handshake off; does it trust our authority (ovh-proxy ca)?",
            host=str(entry_point.host_port),
            reason=failure.reason,
        )
