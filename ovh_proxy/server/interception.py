"""What it takes to be the HTTP proxy of clients that know OVHcloud's hosts alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.settings import Settings
from ovh_proxy.http1.connection import RequestService
from ovh_proxy.limits.concurrency import ConcurrencyLimiter
from ovh_proxy.logs import Log
from ovh_proxy.policy.forward_proxy import ConnectDestination
from ovh_proxy.proxy.middleware import Handler

if TYPE_CHECKING:
    from ovh_proxy.intercept.tunnel import Tunnels
    from ovh_proxy.tls.authority import CertificateAuthority
    from ovh_proxy.tls.issuer import LeafIssuer


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a server it is made of.

    Attributes:
        front: what serves requests.
        watched: makes the same of a handler.
    """

    live: LiveSettings
    limiter: ConcurrencyLimiter
    front: RequestService
    watched: Callable[[Handler], RequestService]
    log: Log


@dataclass(frozen=True, slots=True)
class Interception:
    """What there is where clients may use us as their proxy.

    Attributes:
        connect_handler: answers CONNECT.
    """

    connect_handler: RequestService
    _issuer: "LeafIssuer"
    _tunnels: "Tunnels"

    def reload_if_changed(self, log: Log) -> None:
        """Signs with another authority once there is one on disk."""
        from ovh_proxy.tls.stored_authority import StoredLeafIssuer

        if isinstance(self._issuer, StoredLeafIssuer):
            self._issuer.reload_if_changed(log)

    async def close(self) -> None:
        """Asks for no name any more."""
        await self._tunnels.close()


def open_leaves(
    settings: Settings, authority: "CertificateAuthority | None" = None
) -> "LeafIssuer | None":
    """What is shown to clients in their handshakes; None where nobody uses us as a proxy.

    Args:
        authority: that signs; None for the one that the state directory keeps.

    Raises:
        CommandFailed: that cannot be used.
    """
    if not settings.intercept:
        return None
    # Imported here: they bring a library that nobody else needs.
    from ovh_proxy.tls.issuer import LeafIssuer
    from ovh_proxy.tls.stored_authority import StoredLeafIssuer

    return (
        StoredLeafIssuer(settings.state_directory) if authority is None else LeafIssuer(authority)
    )


def intercept(issuer: "LeafIssuer", parts: Parts) -> Interception:
    """All that is needed besides what serves requests anyway."""
    from ovh_proxy.intercept.connect import ConnectHandler
    from ovh_proxy.intercept.token_endpoint import TokenEndpoint
    from ovh_proxy.intercept.tunnel import Tunnels

    tunnels = Tunnels(parts.live.current)
    fronts = {
        ConnectDestination.API: parts.front,
        ConnectDestination.TOKENS: parts.watched(TokenEndpoint(parts.live, parts.limiter)),
    }
    connect_handler = ConnectHandler(parts.live, issuer, fronts, tunnels, parts.log)
    return Interception(parts.watched(connect_handler), issuer, tunnels)
