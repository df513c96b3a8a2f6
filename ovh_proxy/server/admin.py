"""The admin listener: health, readiness and metrics, without the guard."""

from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.target import parse_target
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import LocalResponse
from ovh_proxy.proxy.admin_routes import AdminRoutes


class AdminListener:
    """Answers kubelet and Prometheus; there is nothing here that a token would protect."""

    def __init__(self, live: LiveSettings, admin_routes: AdminRoutes) -> None:
        self._live = live
        self._admin_routes = admin_routes

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> LocalResponse:
        """Serves one request.

        Raises:
            OvhProxyError: it was refused.
        """
        exchange.is_own_route = True
        target = parse_target(request.raw_target)
        return await self._admin_routes.admin_answer(
            request.method, target.path, self._live.current
        )
