"""Tunnels: two connections whose bytes cross, with back-pressure and an idle timeout."""

import asyncio
import socket
from typing import cast

from ovh_proxy.core.settings import Settings, TcpAddress
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.intercept.egress import EgressConnector
from ovh_proxy.policy.hosts import HostPort

# What a side is slow to take waits with the other, not here.
_MAX_UNSENT = 65_536


class TunnelEnd(asyncio.Protocol):
    """One of the two.

    Attributes:
        count: bytes that came from it.
        other: where they go.
        early: those that came before there was anybody to give them to.
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
        # Until there is somebody to write to; uvloop begins to read after this all the same.
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        if self.other is None:
            self.early += data
            return
        self._tunnel.note_life()
        transport = self._open_other()
        if transport is not None:
            transport.write(data)

    def pause_writing(self) -> None:
        transport = self._open_other()
        if transport is not None:
            transport.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.note_life()
        transport = self._open_other()
        if transport is not None:
            transport.resume_reading()

    def eof_received(self) -> bool:
        """Passes the end on; whether this side may still be written to."""
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
            transport.close()  # once it has taken what is on the way to it
        self._tunnel.note_end()

    def _open_other(self) -> asyncio.Transport | None:
        transport = None if self.other is None else self.other.transport
        return None if transport is None or transport.is_closing() else transport


class Tunnel:
    """The two ends together.

    Attributes:
        near: the client's; far: the other one.
    """

    def __init__(self, idle_s: float) -> None:
        """
        Args:
            idle_s: seconds without a byte in either direction, after which it ends.
        """
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._lived_at = 0.0
        self._ended = self._loop.create_future()
        self.near, self.far = TunnelEnd(self), TunnelEnd(self)

    async def open(self, far: socket.socket) -> None:
        """Takes the socket of the far end.

        Raises:
            OSError: it is closed already.
        """
        transport, _ = await self._loop.create_connection(lambda: self.far, sock=far)
        transport.pause_reading()

    async def join(self, near: asyncio.Transport) -> None:
        """Lets the bytes cross until the end, from a transport that nobody reads any more."""
        near.set_protocol(self.near)
        self.near.connection_made(near)
        if self.far.early:
            near.write(bytes(self.far.early))
        self.near.other, self.far.other = self.far, self.near
        self.note_life()
        if self.far.is_lost:
            near.close()
        for end in (self.near, self.far):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.resume_reading()
        while not self._ended.done():
            left = self._lived_at + self._idle_s - self._loop.time()
            if left <= 0:
                return
            await asyncio.wait([self._ended], timeout=left)

    def note_life(self) -> None:
        """A byte has crossed."""
        self._lived_at = self._loop.time()

    def note_end(self) -> None:
        """One of the ends is gone."""
        if self.near.is_lost and self.far.is_lost and not self._ended.done():
            self._ended.set_result(None)

    def close(self) -> None:
        """Ends both, whatever is on the way."""
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()
        self._ended.cancel()


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Tunnels:
    """Makes them."""

    def __init__(self, settings: Settings) -> None:
        self._elsewhere = EgressConnector(settings.upstream, settings.timeouts)

    async def forward(
        self,
        host_port: HostPort,
        connection: ClientConnection,
        exchange: Exchange,
        settings: Settings,
    ) -> None:
        """Leads a client's connection to a site, until one of them ends it or both are silent.

        Raises:
            HostRefused: no tunnel may lead there.
            OvhProxyError: it could not be reached.
            ConnectionError: the client has left.
        """
        far = await self._elsewhere.connect(TcpAddress(host_port.name, host_port.port or 0))
        tunnel = Tunnel(settings.timeouts.idle_s)
        try:
            try:
                await tunnel.open(far)
            except OSError:
                far.close()
                raise
            near = connection.hand_over()
            near.write(ESTABLISHED)
            exchange.has_begun, exchange.status = True, 200
            await tunnel.join(near)
        finally:
            tunnel.close()
            exchange.body_bytes, exchange.response_body_bytes = tunnel.near.count, tunnel.far.count
            if exchange.has_begun:
                exchange.sent_bytes = len(ESTABLISHED) + tunnel.far.count

    async def close(self) -> None:
        """Asks for no name any more."""
        await self._elsewhere.close()
