"""Answers CONNECT: terminates TLS for an endpoint's host, tunnels to others."""

import asyncio
import ssl
from functools import partial

from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.errors import Overloaded
from ovh_proxy.http1.connection import ClientConnection, RequestService
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import CLOSE, ResponseSent
from ovh_proxy.intercept.tunnel import ESTABLISHED, Tunnels
from ovh_proxy.logs import Log
from ovh_proxy.policy.client_auth import EntryPoint
from ovh_proxy.policy.forward_proxy import (
    ConnectDestination,
    admit_connect,
    check_connect,
    connect_destination,
    entry_point_inside,
    parse_connect,
)
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import HostPort
from ovh_proxy.tls.issuer import LeafIssuer

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
    connection = outer.nested_connection(entry_point, front)
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


class ConnectHandler:
    """Decides on each CONNECT by the settings of the moment."""

    def __init__(
        self,
        live: LiveSettings,
        issuer: LeafIssuer,
        fronts: dict[ConnectDestination, RequestService],
        tunnels: Tunnels,
        log: Log,
    ) -> None:
        """
        Args:
            fronts: what serves the requests in connections that end here.
        """
        self._live = live
        self._issuer = issuer
        self._fronts = fronts
        self._tunnels = tunnels
        self._log = log

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        """Answers one.

        Raises:
            OvhProxyError: it was refused, or leads nowhere.
        """
        settings = self._live.current
        headers = RequestHeaders(request.raw_headers)
        host_port = parse_connect(request.raw_target)
        exchange.is_target_read = True
        check_connect(headers, host_port, is_http_1_0=request.is_http_1_0)
        destination = connect_destination(host_port, settings, self._issuer.authority.constraints)
        client = admit_connect(headers, destination, connection.entry_point, settings)
        exchange.client = "-" if client is None else client.name
        if destination is ConnectDestination.EXTERNAL:
            await self._tunnels.forward(host_port, connection, exchange, settings)
        else:
            self._serve_here(host_port, destination, headers, connection, exchange)
        return CLOSE

    def _serve_here(
        self,
        host_port: HostPort,
        destination: ConnectDestination,
        headers: RequestHeaders,
        connection: ClientConnection,
        exchange: Exchange,
    ) -> None:
        try:
            # Whatever name the client asks for in its handshake: it is this host that it wants.
            context = self._issuer.context((host_port.name,))
        except OSError as failure:
            raise Overloaded("no descriptor is left to make a certificate with") from failure
        entry_point = entry_point_inside(connection.entry_point, host_port, headers)
        front = self._fronts[destination]
        connection.after_connect = partial(
            terminate_tls, connection, entry_point, front, context, self._log
        )
        connection.write(ESTABLISHED)
        exchange.status, exchange.sent_bytes = 200, len(ESTABLISHED)
        exchange.is_own_route = True  # the requests in it have log lines of their own
