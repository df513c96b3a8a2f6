"""Tunnels: two connections whose bytes cross, with back-pressure and an idle timeout."""

import asyncio
import socket
from typing import cast

from ovh_proxy.core.settings import Settings, TcpAddress
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.intercept.egress import EgressConnector
from ovh_proxy.policy.hosts import HostPort

# What one side is slow to read waits in the other, not in this process.
_MAX_UNSENT = 65_536


class TunnelEnd(asyncio.Protocol):
    """One of the two connections.

    Attributes:
        count: bytes received from it.
        other: where they go.
        early: bytes received before the other end was connected.
    """

    def __init__(self, tunnel: "Tunnel") -> None:
        self._tunnel = tunnel
        self.transport: asyncio.Transport | None = None
        self.other: TunnelEnd | None = None
        self.early = bytearray()
        self.count = 0
        self.has_ended = False
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_MAX_UNSENT)
        # Until the other end is connected; uvloop reads once after this all the same.
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        if self.other is None:
            self.early += data
            return
        self._tunnel.record_activity()
        transport = self._open_other()
        if transport is not None:
            transport.write(data)

    def pause_writing(self) -> None:
        transport = self._open_other()
        if transport is not None:
            transport.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.record_activity()
        transport = self._open_other()
        if transport is not None:
            transport.resume_reading()

    def eof_received(self) -> bool:
        """Forwards the end of file; returns whether this side may still be written to."""
        self.has_ended = True
        transport, other = self._open_other(), self.other
        if transport is None or other is None or other.has_ended or not transport.can_write_eof():
            return False
        transport.write_eof()
        return self.transport is not None and self.transport.can_write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.is_lost = True
        transport = self._open_other()
        if transport is not None:
            transport.close()  # after it has read what is buffered
        self._tunnel.record_end()

    def _open_other(self) -> asyncio.Transport | None:
        transport = None if self.other is None else self.other.transport
        return None if transport is None or transport.is_closing() else transport


class Tunnel:
    """Both ends of a tunnel: the client's and the remote one."""

    def __init__(self, idle_s: float) -> None:
        """
        Args:
            idle_s: it ends after this many seconds without a byte in either direction.
        """
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._active_at = 0.0
        self._ended = self._loop.create_future()
        self.client, self.remote = TunnelEnd(self), TunnelEnd(self)

    async def open(self, sock: socket.socket) -> None:
        """Attaches the socket of the remote end.

        Raises:
            OSError: it is closed already.
        """
        transport, _ = await self._loop.create_connection(lambda: self.remote, sock=sock)
        transport.pause_reading()

    async def relay(self, client: asyncio.Transport) -> None:
        """Relays bytes until the end; nothing else may read from the client's transport."""
        client.set_protocol(self.client)
        self.client.connection_made(client)
        if self.remote.early:
            client.write(bytes(self.remote.early))
        self.client.other, self.remote.other = self.remote, self.client
        self.record_activity()
        if self.remote.is_lost:
            client.close()
        for end in (self.client, self.remote):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.resume_reading()
        while not self._ended.done():
            left = self._active_at + self._idle_s - self._loop.time()
            if left <= 0:
                return
            await asyncio.wait([self._ended], timeout=left)

    def record_activity(self) -> None:
        """Restarts the idle timeout."""
        self._active_at = self._loop.time()

    def record_end(self) -> None:
        """Records that one end was closed."""
        if self.client.is_lost and self.remote.is_lost and not self._ended.done():
            self._ended.set_result(None)

    def close(self) -> None:
        """Aborts both ends."""
        for end in (self.client, self.remote):
            if end.transport is not None:
                end.transport.abort()
        self._ended.cancel()


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Tunnels:
    """Opens tunnels to hosts other than OVHcloud's."""

    def __init__(self, settings: Settings) -> None:
        self._egress = EgressConnector(settings.upstream, settings.timeouts)

    async def forward(
        self,
        host_port: HostPort,
        connection: ClientConnection,
        exchange: Exchange,
        settings: Settings,
    ) -> None:
        """Tunnels a client's connection to a host, until one side closes it or both are idle.

        Raises:
            HostRefused: tunnels to this address are not allowed.
            OvhProxyError: it could not be reached.
            ConnectionError: the client has disconnected.
        """
        remote = await self._egress.connect(TcpAddress(host_port.name, host_port.port or 0))
        tunnel = Tunnel(settings.timeouts.idle_s)
        try:
            try:
                await tunnel.open(remote)
            except OSError:
                remote.close()
                raise
            client = connection.hand_over()
            client.write(ESTABLISHED)
            exchange.has_begun, exchange.status = True, 200
            await tunnel.relay(client)
        finally:
            tunnel.close()
            exchange.body_bytes = tunnel.client.count
            exchange.response_body_bytes = tunnel.remote.count
            if exchange.has_begun:
                exchange.sent_bytes = len(ESTABLISHED) + tunnel.remote.count

    async def close(self) -> None:
        """Stops name resolution."""
        await self._egress.close()
