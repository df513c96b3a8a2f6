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
from ovh_proxy.http1.response import CLOSED, CONTINUE, KEPT, ResponseSent
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
    """Who asks, and where it goes; good for as long as the settings are the same.

    Attributes:
        entry_point: by which it came; the same words may be refused at another.
        outgoing_headers: the client's headers that go on to OVHcloud.
        route: None for the proxy's own routes.
        path: of the target, as written.
        shown: what of the target may be logged.
        new_signer: gives who signs one call; None as long as nobody has.
        signed_text: the hash that has seen method and URL; None as long as no call without a body
            has been signed.
    """

    settings: Settings
    entry_point: EntryPoint
    client: Client | None
    headers: RequestHeaders
    outgoing_headers: Headers
    route: Route | None
    path: str
    shown: str
    new_signer: Callable[[], Signer] | None = None
    signed_text: SignedText | None = None

    @property
    def client_name(self) -> str:
        """As it is logged and counted."""
        return "-" if self.client is None else self.client.name


class CallRecorder(Protocol):
    """Takes notice of calls: a Recorder, or nobody."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None: ...

    async def close(self) -> None: ...


class NoRecorder:
    """What is there when nothing is recorded."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None:
        return

    async def close(self) -> None:
        return


@dataclass(slots=True)
class Call:
    """One request that was let in, with all that was decided about it."""

    request: ClientRequest
    plan: AuthorizedRequest
    route: Route
    signer: Signer
    share: Permit


class Forwarder:
    """Sends calls to OVHcloud and relays their answers."""

    def __init__(self, calls: ApiCalls, server_state: ServerState, recorder: CallRecorder) -> None:
        self._calls = calls
        self._server_state = server_state
        self._recorder = recorder

    async def forward(
        self, call: Call, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        """Forwards one call.

        Raises:
            OvhProxyError: the body was refused, or OVHcloud could not be asked.
            AnswerCut: the answer had begun and broke off.
        """
        request, plan, url = call.request, call.plan, call.route.upstream_url
        headers, body = plan.outgoing_headers, NO_BODY
        if has_no_body(plan.headers, request.content):
            signed_text = plan.signed_text or call.signer.start(request.method, url)
            plan.signed_text = signed_text
        else:
            signed_text = call.signer.start(request.method, url)
            body = await _body(call, connection, exchange, signed_text)
            headers = with_content_type(headers, body.start())
        # All but the proof, which each attempt gets anew.
        outgoing = UpstreamRequest(request.method, url, headers, body, signed_text)
        if not outgoing.is_safe:
            connection.unsafe = exchange
        try:
            answer = await self._send(outgoing, call, exchange)
        finally:
            connection.unsafe = None
            if body is not NO_BODY:
                body.close()
                call.share.release()
        return await self._relay(answer, call, connection, exchange)

    async def _send(self, outgoing: UpstreamRequest, call: Call, exchange: Exchange) -> ApiResponse:
        if exchange.trace is not None:
            outgoing = exchange.trace.begin_call(outgoing)
        began = time.monotonic()
        try:
            answer = await self._calls.send(
                outgoing, call.signer, call.plan.settings.retries, exchange.attempts
            )
        finally:
            exchange.upstream_s = time.monotonic() - began
        head = answer.incoming.head
        exchange.upstream_status = head.status
        query_id = head.header(b"x-ovh-queryid")
        exchange.query_id = None if query_id is None else query_id.decode("latin-1")
        self._recorder.record(call.route, outgoing.method, head.status, answer.refusal)
        return answer

    async def _relay(
        self, answer: ApiResponse, call: Call, connection: ClientConnection, exchange: Exchange
    ) -> ResponseSent:
        try:
            keep_alive = await relay(
                answer.incoming,
                _headers(answer, call, connection),
                connection,
                exchange,
                is_http_1_0=call.request.is_http_1_0,
                keep_alive=call.request.keep_alive and not self._server_state.is_stopping,
            )
        finally:
            answer.incoming.abandon()
        return KEPT if keep_alive else CLOSED


def _headers(answer: ApiResponse, call: Call, connection: ClientConnection) -> Headers:
    """The answer's headers as the client gets them."""
    head = answer.incoming.head
    headers = response_headers(head)
    if b"location" in head.keys:
        host = call.plan.headers.one(b"host") or b""
        origin = f"{connection.entry_point.scheme}://{host.decode('latin-1')}"
        headers = with_local_locations(headers, call.route, origin)
    if answer.refusal is not None:
        advice = hint(answer.refusal, call.route.profile)
        if advice is not None:
            headers = (*headers, (b"X-Ovh-Proxy-Hint", advice.encode("ascii", "replace")))
    return headers


async def _body(
    call: Call,
    connection: ClientConnection,
    exchange: Exchange,
    signed_text: SignedText | None,
) -> Body:
    content, settings, headers = call.request.content, call.plan.settings, call.plan.headers
    if headers.expects_continue() and not content.is_eof():
        connection.write(CONTINUE)
        connection.expect_linger()
    is_declared = headers.one(b"content-length") is not None
    began = time.monotonic()
    try:
        bounds = BodyLimits(settings.limits, settings.timeouts, call.share)
        body = await read_body(content, is_declared, bounds, signed_text)
    finally:
        exchange.waited_s += time.monotonic() - began
    exchange.body_bytes = body.size
    return body
