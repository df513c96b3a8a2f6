"""The way of one request: settings, admission, route, access rules, signer, forward."""

from collections.abc import Callable
from functools import partial

from ovh_proxy.auth.signers import UNSIGNED, Signer, Signers
from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.access_rules import AccessRule, authorize, authorize_batch
from ovh_proxy.core.errors import BadRequest
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.core.target import parse_target
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import LocalResponse, ResponseSent
from ovh_proxy.limits.concurrency import ConcurrencyLimiter, is_rate_limited
from ovh_proxy.policy.client_auth import admit, asked_endpoint_host
from ovh_proxy.policy.forward_proxy import entry_point_of
from ovh_proxy.policy.headers import RequestHeaders, request_headers
from ovh_proxy.policy.routing import Route, find_route, is_own
from ovh_proxy.proxy.admin_routes import AdminRoutes
from ovh_proxy.proxy.body import check_length
from ovh_proxy.proxy.forwarder import AuthorizedRequest, Call, Forwarder


class ProxyHandler:
    """Takes a client's request to OVHcloud and relays the response."""

    def __init__(
        self,
        live: LiveSettings,
        signers: Signers,
        admin_routes: AdminRoutes,
        limiter: ConcurrencyLimiter,
        forwarder: Forwarder,
    ) -> None:
        self._live = live
        self._signers = signers
        self._admin_routes = admin_routes
        self._limiter = limiter
        self._forwarder = forwarder

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> LocalResponse | ResponseSent:
        """Serves one request.

        Raises:
            OvhProxyError: the request was rejected, or OVHcloud could not be called.
            ResponseAborted: the response had started and broke off.
        """
        settings = self._live.current
        authorized: AuthorizedRequest | None = request.authorized
        if (
            authorized is None
            or authorized.settings is not settings
            or authorized.entry_point is not connection.entry_point
        ):
            authorized = request.authorized = _authorized_request(
                request, connection, settings, exchange
            )
        elif authorized.route is not None:
            exchange.profile = authorized.route.profile.name
        exchange.client = authorized.client_name
        exchange.logged_target = authorized.logged_target
        if authorized.route is None:
            exchange.is_own_route = True
            client = authorized.client
            pins = (
                authorized.entry_point.listener.profiles,
                () if client is None else client.profiles,
            )
            return await self._admin_routes.respond(request.method, authorized.path, settings, pins)

        if authorized.new_signer is None:
            authorized.new_signer = self._signer_maker(
                request.method, authorized.route, authorized.headers
            )
        signer, limits = authorized.new_signer(), settings.limits
        check_length(authorized.headers.one(b"content-length"), limits)
        if is_rate_limited(authorized.client, limits):
            await self._limiter.wait_for_rate(authorized.route.profile, authorized.client, limits)
        client_name = exchange.client if len(settings.clients) > 1 else None
        with self._limiter.enter(limits, client_name) as permit:
            call = Call(request, authorized, authorized.route, signer, permit)
            return await self._forwarder.forward(call, connection, exchange)

    def _signer_maker(
        self, method: str, route: Route, headers: RequestHeaders
    ) -> Callable[[], Signer]:
        """Returns what makes the signers; OVHcloud accepts some calls only unsigned."""
        requested = headers.one(b"x-ovh-proxy-auth")
        if requested is not None and requested.lower() != b"none":
            # The value is not repeated: it may be a token in the wrong header.
            raise BadRequest("unknown value of X-Ovh-Proxy-Auth; use none, or omit the header")
        if requested is not None or (method, route.path) == ("GET", "/auth/time"):
            return lambda: UNSIGNED
        if (method, route.path) == ("POST", "/auth/credential"):
            return partial(self._signers.of_application, route.profile)
        return self._signers.maker(route.profile)


def _authorized_request(
    request: ClientRequest, connection: ClientConnection, settings: Settings, exchange: Exchange
) -> AuthorizedRequest:
    """Decides from the head of a request; fills in the exchange step by step, for the log."""
    headers = RequestHeaders(request.raw_headers)
    if headers.expects_continue():
        connection.skip_linger()

    arrived_at = entry_point = connection.entry_point
    if request.absolute_target is not None:
        entry_point = entry_point_of(request.absolute_target, headers, entry_point, settings)
    client = admit(headers, entry_point, settings)
    exchange.client = "-" if client is None else client.name

    target = parse_target(request.raw_target)
    exchange.is_target_read = True
    host_port = asked_endpoint_host(headers, entry_point, settings)
    if host_port is None and is_own(target.path):
        exchange.is_own_route = True
        shown, path = exchange.target, target.path
        return AuthorizedRequest(settings, arrived_at, client, headers, (), None, path, shown)

    pins = (entry_point.listener.profiles, () if client is None else client.profiles)
    named = headers.one(b"x-ovh-proxy-profile")
    name = None if named is None else named.decode("latin-1")
    route = find_route(target, name, pins, settings.store, host_port)
    exchange.profile = route.profile.name
    _check_access(request.method, route, headers, client)
    outgoing, shown, path = request_headers(headers), exchange.target, target.path
    return AuthorizedRequest(settings, arrived_at, client, headers, outgoing, route, path, shown)


def _check_access(
    method: str, route: Route, headers: RequestHeaders, client: Client | None
) -> None:
    """Requires that both the profile's rules and the client's rules grant the call."""
    granted: list[tuple[str, tuple[AccessRule, ...] | None]] = [
        (f"profile {route.profile.name}", route.profile.access_rules)
    ]
    if client is not None:
        granted.append((f"client {client.name}", client.access_rules))
    authorize(method, route.path, route.decoded_path, granted)
    separator = headers.one(b"x-ovh-batch")
    if separator is not None:
        authorize_batch(method, route.path, separator, granted)
