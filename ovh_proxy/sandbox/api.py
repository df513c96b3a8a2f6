"""A small OVHcloud API of our own, which verifies every signature."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from aiohttp import web

from ovh_proxy.sandbox import httpbin_routes
from ovh_proxy.sandbox.account_routes import Services
from ovh_proxy.sandbox.auth_routes import AuthRoutes, TokenRoutes
from ovh_proxy.sandbox.authentication import admit
from ovh_proxy.sandbox.call import Call, Caller, ReceivedRequest, Signed, parse_api_path
from ovh_proxy.sandbox.domain_routes import ReverseNames, Zones, domain_routes
from ovh_proxy.sandbox.faults import FAULT, Fault, Faults, faults_in, send_broken, values_of
from ovh_proxy.sandbox.grants import Grants
from ovh_proxy.sandbox.http_server import Listener, Written, receive, send
from ovh_proxy.sandbox.responses import (
    Refusal,
    Response,
    Verbatim,
    common_headers,
    error_response,
    refusal,
)
from ovh_proxy.sandbox.routes import Found, Route, answer_route, find_route
from ovh_proxy.sandbox.schema_routes import schema_routes
from ovh_proxy.sandbox.validation_page import ValidationPage


def all_routes(grants: Grants) -> tuple[Route, ...]:
    """The table of routes, with newly created zones, servers and names."""
    served = (
        *AuthRoutes(grants).routes(),
        *Services().routes(),
        *domain_routes(),
        *Zones().routes(),
        *ReverseNames().routes(),
        *httpbin_routes.routes(),
    )
    pages = (*ValidationPage(grants).routes(), *TokenRoutes(grants).routes())
    return (*served, *pages, *schema_routes(served))


MAX_RECORDED_REQUESTS = 1000


class Sandbox:
    """The API with its own listener; all state is in memory.

    Attributes:
        clock_offset: how many seconds its clock, and `/auth/time`, is ahead of `now`.
        clock_window: how many seconds a timestamp may be off.
        error_shape: `old` (`errorCode`, `httpCode`, `message`) or `new` (`class`, `message`).
        requests: the most recent requests, refused ones included, in order.
        faults: faults for later requests.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        grants: Grants | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.grants = grants or Grants()
        self.clock_offset = 0.0
        self.clock_window = 60.0
        self.error_shape = "old"
        self.requests: list[ReceivedRequest] = []
        self.faults = Faults()
        self._now = now
        self._routes = all_routes(self.grants)
        self._listener = Listener(self._handle, tls)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Starts listening; port 0 picks a free port. Can be called again after `stop`.

        Raises:
            OSError: the address cannot be bound.
        """
        await self._listener.start(host, port)

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        await self._listener.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The current port, or the last one if stopped."""
        return self._listener.port

    @property
    def url(self) -> str:
        return self._listener.url

    @property
    def base_url(self) -> str:
        """The endpoint for profiles."""
        return f"{self.url}/1.0"

    @property
    def token_url(self) -> str:
        """The token endpoint for service accounts."""
        return f"{self.url}/auth/oauth2/token"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return Written(keep_alive=await self._serve(request))

    async def _serve(self, request: web.BaseRequest) -> bool:
        """Serves one request; returns whether the connection can serve another."""
        received = await receive(request)
        # Tested, but Python 3.11 does not trace code after a cancelled await.
        if received.verdict == "incomplete":  # pragma: no cover
            self._record(received)
            return False
        now = self._now() + self.clock_offset
        api_path = parse_api_path(received.target)
        found = find_route(self._routes, received.method, api_path)
        call = Call(received, api_path, request.scheme, now)
        faults = self.faults.take(api_path)
        outcome = self._authenticate(call, found, faults)
        self._record(replace(received, verdict=outcome.verdict))
        await self._apply_before(faults)
        try:
            response = await response_for(outcome, found, call, faults)
        except Refusal as refused:
            response = error_response(refused, self.error_shape)
        for how in [*values_of(faults, "cut"), *values_of(faults, "garbage")]:
            await send_broken(how, request, response, common_headers(now))
            return False
        return await send(request, response, common_headers(now))

    def _authenticate(
        self, call: Call, found: Found | None, faults: list[Fault]
    ) -> Caller | Refusal:
        """The caller, or the refusal of the call; adds the faults in the request's headers."""
        try:
            faults += faults_in(call.received.values(FAULT))
            for code in values_of(faults, "refuse"):
                return refusal(code)
            route = found[0] if found else None
            caller = admit(call, route, self.grants, self.clock_window)
        except Refusal as refused:
            return refused
        if isinstance(caller, Signed):
            self.grants.touch(caller.consumer_key.consumer_key, call.now)
        return caller

    async def _apply_before(self, faults: list[Fault]) -> None:
        """Applies the faults that come before the response: clock steps and delays."""
        for seconds in values_of(faults, "clock"):
            self.clock_offset = float(seconds)
        for seconds in values_of(faults, "delay"):
            await asyncio.sleep(float(seconds))

    def _record(self, received: ReceivedRequest) -> None:
        self.requests.append(received)
        del self.requests[:-MAX_RECORDED_REQUESTS]


async def response_for(
    outcome: Caller | Refusal, found: Found | None, call: Call, faults: list[Fault]
) -> Response | Verbatim:
    """The route's response, or the one that a fault asks for.

    Raises:
        Refusal: the call is not served.
    """
    if isinstance(outcome, Refusal):
        raise outcome
    for status in values_of(faults, "status"):
        return httpbin_routes.status_response(int(status))
    if found is None:
        raise refusal("NOT_FOUND")
    route, variables = found
    return await answer_route(route, replace(call, caller=outcome, variables=variables))
