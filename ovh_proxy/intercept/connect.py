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

# How long a client may take to close TLS; asyncio would wait for half a minute.
_TLS_SHUTDOWN_S = 2.0


class _EarlyData(asyncio.Protocol):
    """Buffers bytes that arrive with the end of the handshake, before there is a connection."""

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
    service: RequestService,
    context: ssl.SSLContext,
    log: Log,
) -> None:
    """Does the TLS handshake and starts serving; returns once the handshake has ended.

    Args:
        entry_point, service: for the requests inside TLS.
    """
    early_data = _EarlyData()
    transport = outer.hand_over()
    try:
        inner = await asyncio.get_running_loop().start_tls(
            transport,
            early_data,
            context,
            server_side=True,
            ssl_handshake_timeout=outer.handshake_timeout,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
        )
    except OSError as failure:
        transport.abort()
        _log_handshake_failure(failure, entry_point, log)
        return
    if inner is None or early_data.is_lost or inner.is_closing():
        return
    connection = outer.nested_connection(entry_point, service)
    connection.connection_made(inner)
    inner.set_protocol(connection)
    if early_data.received:
        connection.data_received(bytes(early_data.received))


def _log_handshake_failure(failure: OSError, entry_point: EntryPoint, log: Log) -> None:
    # The usual case: the client does not trust our authority, and sends an alert.
    if isinstance(failure, ssl.SSLError) and "ALERT" in (failure.reason or ""):
        log.write(
            "warning",
            "a client aborted the TLS handshake; does it trust our authority (ovh-proxy ca)?",
            host=str(entry_point.host_port),
            reason=failure.reason,
        )


class ConnectHandler:
    """Answers CONNECT requests according to the current settings."""

    def __init__(
        self,
        live: LiveSettings,
        issuer: LeafIssuer,
        services: dict[ConnectDestination, RequestService],
        tunnels: Tunnels,
        log: Log,
    ) -> None:
        """
        Args:
            services: serve the requests in connections whose TLS is terminated here.
        """
        self._live = live
        self._issuer = issuer
        self._services = services
        self._tunnels = tunnels
        self._log = log

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        """Answers one CONNECT request.

        Raises:
            OvhProxyError: it was rejected, or its destination cannot be reached.
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
            self._terminate(host_port, destination, headers, connection, exchange)
        return CLOSE

    def _terminate(
        self,
        host_port: HostPort,
        destination: ConnectDestination,
        headers: RequestHeaders,
        connection: ClientConnection,
        exchange: Exchange,
    ) -> None:
        try:
            # The host of the CONNECT request decides, not the name in the TLS handshake.
            context = self._issuer.context((host_port.name,))
        except OSError as failure:
            raise Overloaded(
                f"no file descriptor left to issue a certificate for {host_port.name}"
            ) from failure
        entry_point = entry_point_inside(connection.entry_point, host_port, headers)
        service = self._services[destination]
        connection.after_connect = partial(
            terminate_tls, connection, entry_point, service, context, self._log
        )
        connection.write(ESTABLISHED)
        exchange.status, exchange.sent_bytes = 200, len(ESTABLISHED)
        exchange.is_own_route = True  # the requests inside have their own log lines
