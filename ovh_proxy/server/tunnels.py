"""Connections led through to others than OVHcloud, untouched."""

from ovh_proxy.core.settings import Settings, TcpAddress
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.intercept.egress import EgressConnector
from ovh_proxy.intercept.tunnel import Tunnel
from ovh_proxy.policy.hosts import HostPort

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
            exchange.body_bytes, exchange.answer_bytes = tunnel.near.count, tunnel.far.count
            if exchange.has_begun:
                exchange.sent_bytes = len(ESTABLISHED) + tunnel.far.count

    async def close(self) -> None:
        """Asks for no name any more."""
        await self._elsewhere.close()
