"""The proxy's own routes under `/-/`: health, readiness, version, profiles, metrics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ovh_proxy import __version__
from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.credential_states import CredentialStates, CredentialStatus
from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.errors import MethodRefused, OriginRefused, ProfileRefused, UnknownRoute
from ovh_proxy.core.redaction import alternatives, printable
from ovh_proxy.core.settings import Profile, Settings
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import LocalResponse, json_response
from ovh_proxy.observability.metrics import (
    CONTENT_TYPE,
    Metrics,
    NoPeerMetrics,
    PeerMetrics,
    ReloadStatus,
    gauges,
)
from ovh_proxy.ovhcloud.messages import Headers
from ovh_proxy.policy.routing import Pins, allowed_names

_Route = Callable[[Settings, Pins], Awaitable[LocalResponse]]
_ADMIN_ROUTES = ("healthz", "readyz", "metrics")


class UnsupportedMethod(MethodRefused):
    """The proxy's own routes are read-only; the connection stays open."""

    closes = False

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Allow", b"GET, HEAD"),)


@dataclass(slots=True)
class ServerState:
    """The state of the process; set by `serve`.

    Attributes:
        is_stopping: a shutdown was requested; `readyz` reports it, and requests are still served.
        is_drained: the listeners are closed; new requests on open connections are rejected.
        in_flight: requests being served.
        problems: what is wrong with the settings on disk, while the previous ones are in use.
    """

    is_stopping: bool = False
    is_drained: bool = False
    in_flight: int = 0
    problems: tuple[str, ...] = ()


class AdminRoutes:
    """The proxy's own routes."""

    def __init__(
        self,
        metrics: Metrics,
        clocks: Clocks,
        server_state: ServerState,
        states: CredentialStates | None = None,
        reloads: ReloadStatus | None = None,
        peers: PeerMetrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._clocks = clocks
        self._server_state = server_state
        self._states = states or CredentialStates()
        self._reloads = reloads or ReloadStatus()
        self._peers = peers or NoPeerMetrics()
        self._routes: dict[str, _Route] = {
            "": self._index,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "metrics": self._metrics_page,
            "profiles": self._profiles,
            "version": self._version,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the routes, without `/-/`."""
        return tuple(self._routes)

    async def respond(
        self, method: str, path: str, settings: Settings, pins: Pins
    ) -> LocalResponse:
        """Returns the response of `/-/…` on the main listeners.

        Args:
            pins: the profiles of the listener and of the client. Responses only contain these, and
                routes that cover all profiles are refused.

        Raises:
            UnknownRoute, MethodRefused, ProfileRefused: the path, method or client is not allowed.
        """
        return await self._find(path, self.names, method)(settings, pins)

    async def respond_admin(self, method: str, path: str, settings: Settings) -> LocalResponse:
        """Returns the response on the admin listener, which has only three routes.

        Raises:
            UnknownRoute, MethodRefused: the path or method is not allowed.
        """
        return await self._find(path, _ADMIN_ROUTES, method)(settings, ())

    def _find(self, path: str, allowed: tuple[str, ...], method: str) -> _Route:
        name = path.removeprefix("/-/")
        if not path.startswith("/-/") or name not in allowed:
            routes = alternatives(f"/-/{route}" for route in allowed)
            raise UnknownRoute(f"unknown route '{printable(path)[:80]}'; use one of {routes}")
        if method not in ("GET", "HEAD"):
            raise UnsupportedMethod(f"{path} does not accept {method}; use GET or HEAD")
        return self._routes[name]

    async def _index(self, settings: Settings, pins: Pins) -> LocalResponse:
        _refuse_pinned(pins)
        return json_response(200, {"routes": [f"/-/{name}" for name in self._routes if name]})

    async def _healthz(self, settings: Settings, pins: Pins) -> LocalResponse:
        return json_response(200, {"status": "alive"})

    async def _readyz(self, settings: Settings, pins: Pins) -> LocalResponse:
        reasons = []
        if not settings.store.profiles:
            reasons.append("no credential store is loaded")
        default = settings.store.default_profile
        if (
            default is not None
            and default.name in allowed_names(settings.store.profiles, pins)
            and not self._clocks.of(default.endpoint).is_known
        ):
            reasons.append(f"the clock of {default.endpoint.name} is not known yet")
        if self._server_state.is_stopping:
            reasons.append("the proxy is shutting down")
        ready = not reasons
        value: dict[str, object] = {"status": "ready" if ready else "not ready"}
        if reasons:
            value["reasons"] = reasons
        if self._server_state.problems:
            # Still ready: a typo must not drain every replica.
            value["reload"] = "failed"
            if not any(pins):  # the problems name files, profiles and clients
                value["problems"] = self._server_state.problems
        return json_response(200 if ready else 503, value)

    async def _metrics_page(self, settings: Settings, pins: Pins) -> LocalResponse:
        _refuse_pinned(pins)
        others = await self._peers.snapshots(self._metrics.snapshot)
        current = gauges(settings, self._clocks, self._states, self._reloads)
        body = self._metrics.exposition(current, others)
        return LocalResponse(200, ((b"Content-Type", CONTENT_TYPE.encode()),), body)

    async def _version(self, settings: Settings, pins: Pins) -> LocalResponse:
        return json_response(200, {"name": "ovh-proxy", "version": __version__})

    async def _profiles(self, settings: Settings, pins: Pins) -> LocalResponse:
        default = settings.store.default_profile
        profiles = settings.store.profiles
        visible = [
            self._describe(profiles[name], profiles[name] is default)
            for name in allowed_names(profiles, pins)
        ]
        return json_response(200, {"profiles": visible})

    def _describe(self, profile: Profile, is_default: bool) -> dict[str, object]:
        rules = profile.access_rules
        credential = profile.credential
        status = self._states.of(profile)
        delta = self._clocks.of(profile.endpoint).delta
        return {
            "name": profile.name,
            "default": is_default,
            "endpoint": profile.endpoint.name,
            "credential": {
                "kind": kind_of(credential),
                "state": status.state,
                "expires": _expiry(status),
            },
            "access_rules": None if rules is None else [str(rule) for rule in rules],
            "clock_delta_seconds": None if delta is None else round(delta, 3),
        }


def _expiry(status: CredentialStatus) -> str | None:
    if status.expires is None:
        return "never" if status.is_endless else None
    return datetime.fromtimestamp(status.expires, UTC).isoformat(timespec="seconds")


def _refuse_pinned(pins: Pins) -> None:
    # The index and the metrics cover every profile.
    if any(pins):
        raise ProfileRefused(
            "this client or listener is limited to some profiles and cannot use this route"
        )


class AdminListener:
    """Serves kubelet and Prometheus; it needs no token because it exposes nothing secret."""

    def __init__(self, live: LiveSettings, admin_routes: AdminRoutes) -> None:
        self._live = live
        self._admin_routes = admin_routes

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> LocalResponse:
        """Serves one request.

        Raises:
            OvhProxyError: the request was rejected.
        """
        exchange.is_own_route = True
        _refuse_web_pages(request.raw_headers)
        # Compared as written: a client without a token cannot make this listener decode anything.
        path = request.raw_target.partition(b"?")[0].decode("latin-1")
        return await self._admin_routes.respond_admin(request.method, path, self._live.current)


def _refuse_web_pages(headers: Headers) -> None:
    # With DNS rebinding, a web page could read the metrics.
    for name, value in headers:
        key = name.lower()
        if key == b"origin" or (
            key == b"sec-fetch-site" and value not in (b"none", b"same-origin")
        ):
            raise OriginRefused("the admin listener does not serve web pages")
