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
class Interception:
    """The HTTP-proxy mode: TLS termination and tunnels.

    Attributes:
        connect_handler: answers CONNECT.
    """

    connect_handler: RequestService
    _issuer: "LeafIssuer"
    _tunnels: "Tunnels"

    def reload_if_changed(self, log: Log) -> None:
        """Loads the stored authority again if its file has changed."""
        from ovh_proxy.tls.stored_authority import StoredLeafIssuer

        if isinstance(self._issuer, StoredLeafIssuer):
            self._issuer.reload_if_changed(log)

    async def close(self) -> None:
        """Stops name resolution."""
        await self._tunnels.close()


def open_issuer(
    settings: Settings, authority: "CertificateAuthority | None" = None
) -> "LeafIssuer | None":
    """Returns the issuer of leaf certificates; None unless `intercept` is on.

    Args:
        authority: None for the one in the state directory.

    Raises:
        CommandFailed: the authority cannot be used.
    """
    if not settings.intercept:
        return None
    # Imported here: this loads cryptography, which only the HTTP-proxy mode needs.
    from ovh_proxy.tls.issuer import LeafIssuer
    from ovh_proxy.tls.stored_authority import StoredLeafIssuer

    return (
        StoredLeafIssuer(settings.state_directory) if authority is None else LeafIssuer(authority)
    )


def _make_interception(
    issuer: "LeafIssuer",
    live: LiveSettings,
    limiter: ConcurrencyLimiter,
    service: RequestService,
    wrap: Callable[[Handler], RequestService],
    log: Log,
) -> Interception:
    from ovh_proxy.intercept.connect import ConnectHandler
    from ovh_proxy.intercept.token_endpoint import TokenEndpoint
    from ovh_proxy.intercept.tunnel import Tunnels

    tunnels = Tunnels(live.current)
    services = {
        ConnectDestination.API: service,
        ConnectDestination.TOKENS: wrap(TokenEndpoint(live, limiter)),
    }
    connect_handler = ConnectHandler(live, issuer, services, tunnels, log)
    return Interception(wrap(connect_handler), issuer, tunnels)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """What this process shares with the other workers.

    Attributes:
        rate_limiter: None for a limiter local to this process.
        share: this worker's connection count; None in a single process.
    """

    shared_cache: SharedCache
    peers: PeerMetrics
    rate_limiter: RateLimiter | None = None
    share: ConnectionCount | None = None


SINGLE_PROCESS = ProcessGroup(UNSHARED, NoPeerMetrics())


@dataclass(frozen=True, slots=True)
class App:
    """The parts that outlive requests; built inside the running loop."""

    live: LiveSettings
    log: Log
    server_state: ServerState
    client: ApiClient
    credential_poller: CredentialPoller
    limiter: ConcurrencyLimiter
    connection_limit: ConnectionLimit
    reloads: ReloadStatus
    metrics: Metrics
    recorder: CallRecorder
    observers: Observers
    service: Middleware
    admin_service: Middleware
    interception: Interception | None

    async def close(self) -> None:
        """Closes connections to OVHcloud and flushes recorder and observers."""
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
    """Builds all parts for the settings; nothing listens yet.

    Args:
        process_group: what is shared with other processes that serve the same listeners.
        observers: see every request except those on the admin listener.
        issuer: from `open_issuer`; None disables the HTTP-proxy mode.
    """
    live = LiveSettings(settings)
    shared_cache = process_group.shared_cache
    client = ApiClient(settings.upstream, settings.timeouts, shared_cache)
    server_state, reloads = ServerState(), ReloadStatus()
    connection_limit = make_connection_limit(settings, process_group.share, log)

    metrics = Metrics(lambda: _levels(server_state, connection_limit, client.pool, log, observers))
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

    def wrap(handler: Handler) -> Middleware:
        return Middleware(handler, log, metrics, server_state, observers.all)

    service = wrap(proxy)
    interception = (
        None if issuer is None else _make_interception(issuer, live, limiter, service, wrap, log)
    )
    return App(
        live=live,
        log=log,
        server_state=server_state,
        client=client,
        credential_poller=CredentialPoller(client, shared_cache),
        limiter=limiter,
        connection_limit=connection_limit,
        reloads=reloads,
        metrics=metrics,
        recorder=recorder,
        observers=observers,
        service=service,
        admin_service=Middleware(AdminListener(live, admin_routes), log, metrics, server_state),
        interception=interception,
    )


def _levels(
    server_state: ServerState,
    connection_limit: ConnectionLimit,
    pool: Pool,
    log: Log,
    observers: Observers,
) -> dict[str, float]:
    """Returns the current values of gauges, and of counters that are kept elsewhere."""
    return {
        "ovh_proxy_requests_in_flight": server_state.in_flight,
        "ovh_proxy_connections": connection_limit.count,
        "ovh_proxy_upstream_connections_made_total": pool.made,
        "ovh_proxy_upstream_connections_reused_total": pool.reused,
        "ovh_proxy_log_lines_dropped_total": log.dropped,
        "ovh_proxy_audit_lines_lost_total": observers.lost_lines,
        "ovh_proxy_workers": 1,
        "ovh_proxy_worker_restarts_total": 0,
    }


def _recorder(recording: "Recording | None", pool: Pool, log: Log) -> CallRecorder:
    if recording is None:
        return NoRecorder()
    # Imported here: few runs record, and importing the schema reader takes a while.
    from ovh_proxy.recording.recorder import Recorder, SchemaClient

    return Recorder(recording, SchemaClient(pool), log)
