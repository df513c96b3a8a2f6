"""Builds the server from its parts, the HTTP-proxy mode included."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovh_proxy.auth.api_calls import ApiClient
from ovh_proxy.auth.consumer_keys import CredentialPoller
from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.settings import Settings
from ovh_proxy.http1.connection import RequestService
from ovh_proxy.limits.concurrency import ConcurrencyLimiter, ConnectionCount, ConnectionLimit
from ovh_proxy.limits.rate import RateLimiter
from ovh_proxy.logs import Log
from ovh_proxy.observability.metrics import Metrics, NoPeerMetrics, PeerMetrics, ReloadStatus
from ovh_proxy.observability.observers import NO_OBSERVERS, Observers
from ovh_proxy.policy.forward_proxy import ConnectDestination
from ovh_proxy.proxy.admin_routes import AdminListener, AdminRoutes, ServerState
from ovh_proxy.proxy.forwarder import CallRecorder, Forwarder, NoRecorder
from ovh_proxy.proxy.handler import ProxyHandler
from ovh_proxy.proxy.middleware import Handler, Middleware
from ovh_proxy.server.process import body_memory_limit, make_connection_limit
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache

if TYPE_CHECKING:
    from ovh_proxy.intercept.tunnel import Tunnels
    from ovh_proxy.recording.recording_file import Recording
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


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """All such ties.

    Attributes:
        rate_limiter: that of requests per minute; None for one of this process's own.
        share: of the connections; None where nobody else takes any.
    """

    shared_cache: SharedCache
    peers: PeerMetrics
    rate_limiter: RateLimiter | None = None
    share: ConnectionCount | None = None


SINGLE_PROCESS = ProcessGroup(UNSHARED, NoPeerMetrics())


@dataclass(frozen=True, slots=True)
class App:
    """The parts that outlive requests; made inside the running loop."""

    live: LiveSettings
    log: Log
    server_state: ServerState
    client: ApiClient
    poller: CredentialPoller
    limiter: ConcurrencyLimiter
    connection_limit: ConnectionLimit
    reloads: ReloadStatus
    metrics: Metrics
    recorder: CallRecorder
    observers: Observers
    front: Middleware
    admin: Middleware
    interception: Interception | None

    async def close(self) -> None:
        """Ends what is under way towards OVHcloud."""
        if self.interception is not None:
            await self.interception.close()
        await self.recorder.close()
        await self.client.close()
        await self.observers.close()


def build(
    settings: Settings,
    log: Log,
    recording: "Recording | None" = None,
    process_group: ProcessGroup = SINGLE_PROCESS,
    observers: Observers = NO_OBSERVERS,
    issuer: "LeafIssuer | None" = None,
) -> App:
    """All parts for the settings, none of them listening yet.

    Args:
        process_group: the other processes that serve the same listeners.
        observers: are told of every request, but for the admin listener's.
        issuer: what is shown to clients that use us as their proxy, where they may.
    """
    live = LiveSettings(settings)
    shared_cache = process_group.shared_cache
    client = ApiClient(settings.upstream, settings.timeouts, shared_cache)
    server_state, connection_limit, reloads = (
        ServerState(),
        make_connection_limit(settings, process_group.share, log),
        ReloadStatus(),
    )

    def levels() -> dict[str, float]:
        return {
            "ovh_proxy_requests_in_flight": server_state.in_flight,
            "ovh_proxy_connections": connection_limit.count,
            "ovh_proxy_upstream_connections_made_total": client.pool.made,
            "ovh_proxy_upstream_connections_reused_total": client.pool.reused,
            "ovh_proxy_log_lines_dropped_total": log.dropped,
            "ovh_proxy_audit_lines_lost_total": observers.lost_lines,
            "ovh_proxy_workers": 1,
            "ovh_proxy_worker_restarts_total": 0,
        }

    metrics = Metrics(levels)
    admin_routes = AdminRoutes(
        metrics, client.clocks, server_state, client.states, reloads, process_group.peers
    )
    recorder = _recorder(recording, client.pool, log)
    limiter = ConcurrencyLimiter(process_group.rate_limiter, body_memory_limit(settings, log))
    proxy = ProxyHandler(
        live,
        client.signers,
        admin_routes,
        limiter,
        Forwarder(client.calls, server_state, recorder),
    )

    def watched(handler: Handler) -> Middleware:
        return Middleware(handler, log, metrics, server_state, observers.all)

    front = watched(proxy)
    return App(
        live=live,
        log=log,
        server_state=server_state,
        client=client,
        poller=CredentialPoller(client, shared_cache),
        limiter=limiter,
        connection_limit=connection_limit,
        reloads=reloads,
        metrics=metrics,
        recorder=recorder,
        observers=observers,
        front=front,
        admin=Middleware(AdminListener(live, admin_routes), log, metrics, server_state),
        interception=_interception(issuer, Parts(live, limiter, front, watched, log)),
    )


def _interception(issuer: "LeafIssuer | None", parts: Parts) -> Interception | None:
    return None if issuer is None else intercept(issuer, parts)


def _recorder(recording: "Recording | None", pool: Pool, log: Log) -> CallRecorder:
    if recording is None:
        return NoRecorder()
    # Imported here: few runs record, and what reads the API's schema takes a while.
    from ovh_proxy.recording.recorder import Recorder, SchemaClient

    return Recorder(recording, SchemaClient(pool), log)
