"""Sends an authorized request to OVHcloud, and relays the response."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ovh_proxy.auth.api_calls import ApiCalls, ApiResponse
from ovh_proxy.auth.signers import Signer
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import CLOSE, CONTINUE, KEEP_ALIVE, ResponseSent
from ovh_proxy.limits.concurrency import Permit
from ovh_proxy.ovhcloud.auth_api import hint
from ovh_proxy.ovhcloud.messages import NO_BODY, Body, Headers, UpstreamRequest
from ovh_proxy.ovhcloud.signature import SignedText
from ovh_proxy.policy.client_auth import EntryPoint
from ovh_proxy.policy.headers import RequestHeaders, response_headers, with_content_type
from ovh_proxy.policy.routing import Route
from ovh_proxy.proxy.admin_routes import ServerState
from ovh_proxy.proxy.body import BodyLimits, has_no_body, read_body
from ovh_proxy.proxy.relay import relay, with_local_locations


@dataclass(slots=True)
class AuthorizedRequest:
    """The client and route of a request; valid while the settings are the same.

    Attributes:
        entry_point: where the request arrived; the same bytes may be rejected at another one.
        outgoing_headers: the client's headers that are forwarded to OVHcloud.
        route: None for the proxy's own routes.
        path: of the target, as written.
        logged_target: the part of the target that may be logged.
        new_signer: returns the signer of one call; None until the first call.
        signed_text: the hash of method and URL; None until the first call without a body.
    """

    settings: Settings
    entry_point: EntryPoint
    client: Client | None
    headers: RequestHeaders
    outgoing_headers: Headers
    route: Route | None
    path: str
    logged_target: str
    new_signer: Callable[[], Signer] | None = None
    signed_text: SignedText | None = None

    @property
    def client_name(self) -> str:
        """The name for logs and metrics."""
        return "-" if self.client is None else self.client.name


class CallRecorder(Protocol):
    """Records calls: a Recorder or a NoRecorder."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None: ...

    async def close(self) -> None: ...


class NoRecorder:
    """Records nothing."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None:
        return

    async def close(self) -> None:
        return


@dataclass(slots=True)
class Call:
    """One admitted request, with everything that was decided about it."""

    request: ClientRequest
    authorized: AuthorizedRequest
    route: Route
    signer: Signer
    permit: Permit


class Forwarder:
    """Sends calls to OVHcloud and relays the responses."""

    def __init__(self, calls: ApiCalls, server_state: ServerState, recorder: CallRecorder) -> None:
        self._calls = calls
        self._server_state = server_state
        self._recorder = recorder

    async def forward(
        self, call: Call, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        """Forwards one call.

        Raises:
            OvhProxyError: the body was rejected, or OVHcloud could not be called.
            ResponseAborted: the response had started and broke off.
        """
        request, authorized, url = call.request, call.authorized, call.route.upstream_url
        headers, body = authorized.outgoing_headers, NO_BODY
        if has_no_body(authorized.headers, request.content):
            signed_text = authorized.signed_text or call.signer.start(request.method, url)
            authorized.signed_text = signed_text
        else:
            signed_text = call.signer.start(request.method, url)
            body = await _body(call, connection, exchange, signed_text)
            headers = with_content_type(headers, body.start())
        # Without the signature: each attempt gets a new one.
        outgoing = UpstreamRequest(request.method, url, headers, body, signed_text)
        if not outgoing.is_safe:
            connection.unsafe = exchange
        try:
            response = await self._send(outgoing, call, exchange)
        finally:
            connection.unsafe = None
            if body is not NO_BODY:
                body.close()
                call.permit.release()
        return await self._relay(response, call, connection, exchange)

    async def _send(self, outgoing: UpstreamRequest, call: Call, exchange: Exchange) -> ApiResponse:
        if exchange.trace is not None:
            outgoing = exchange.trace.begin_call(outgoing)
        began = time.monotonic()
        try:
            response = await self._calls.send(
                outgoing, call.signer, call.authorized.settings.retries, exchange.attempts
            )
        finally:
            exchange.upstream_s = time.monotonic() - began
        head = response.incoming.head
        exchange.upstream_status = head.status
        query_id = head.header(b"x-ovh-queryid")
        exchange.query_id = None if query_id is None else query_id.decode("latin-1")
        self._recorder.record(call.route, outgoing.method, head.status, response.refusal)
        return response

    async def _relay(
        self, response: ApiResponse, call: Call, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        try:
            keep_alive = await relay(
                response.incoming,
                _headers(response, call, connection),
                connection,
                exchange,
                is_http_1_0=call.request.is_http_1_0,
                keep_alive=call.request.keep_alive and not self._server_state.is_stopping,
            )
        finally:
            response.incoming.abandon()
        return KEEP_ALIVE if keep_alive else CLOSE


def _headers(response: ApiResponse, call: Call, connection: ClientConnection) -> Headers:
    """The headers of the response to the client."""
    head = response.incoming.head
    headers = response_headers(head)
    if b"location" in head.keys:
        host = call.authorized.headers.one(b"host") or b""
        origin = f"{connection.entry_point.scheme}://{host.decode('latin-1')}"
        headers = with_local_locations(headers, call.route, origin)
    if response.refusal is not None:
        advice = hint(response.refusal, call.route.profile)
        if advice is not None:
            headers = (*headers, (b"X-Ovh-Proxy-Hint", advice.encode("ascii", "replace")))
    return headers


async def _body(
    call: Call, connection: ClientConnection, exchange: Exchange, signed_text: SignedText | None
) -> Body:
    content, authorized = call.request.content, call.authorized
    settings, headers = authorized.settings, authorized.headers
    if headers.expects_continue() and not content.is_eof():
        connection.write(CONTINUE)
        connection.expect_linger()
    is_declared = headers.one(b"content-length") is not None
    began = time.monotonic()
    try:
        bounds = BodyLimits(settings.limits, settings.timeouts, call.permit)
        body = await read_body(content, is_declared, bounds, signed_text)
    finally:
        exchange.waited_s += time.monotonic() - began
    exchange.body_bytes = body.size
    return body
