"""The way of one request."""

import time

from aiohttp import web

from ovh_proxy.core.access_rules import AccessRule, authorize
from ovh_proxy.core.auth_api import hint
from ovh_proxy.core.errors import BadRequest
from ovh_proxy.core.guard import admit
from ovh_proxy.core.headers import RequestHeaders, request_headers, with_content_type
from ovh_proxy.core.messages import Body, UpstreamRequest
from ovh_proxy.core.redaction import redact_target
from ovh_proxy.core.route import Route, find_route
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.core.signature import SignedText
from ovh_proxy.core.target import parse_target
from ovh_proxy.server.body import check_length, read_body
from ovh_proxy.server.connection import ClientConnection
from ovh_proxy.server.exchange import Exchange
from ovh_proxy.server.middleware import may_keep_alive
from ovh_proxy.server.ops import Life, Ops
from ovh_proxy.server.relay import relay, relayed_headers
from ovh_proxy.server.reply import OwnAnswer, Reply
from ovh_proxy.store.live import LiveSettings
from ovh_proxy.upstream.calls import Answer, Calls
from ovh_proxy.upstream.signers import UNSIGNED, Signer, Signers

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Proxy:
    """Takes a client's request through to OVHcloud and its answer back."""

    def __init__(
        self, live: LiveSettings, signers: Signers, calls: Calls, ops: Ops, life: Life
    ) -> None:
        self._live = live
        self._signers = signers
        self._calls = calls
        self._ops = ops
        self._life = life

    async def __call__(
        self, request: web.BaseRequest, connection: ClientConnection, exchange: Exchange
    ) -> OwnAnswer | Reply:
        """Serves one request.

        Raises:
            OvhProxyError: it was refused, or OVHcloud could not be asked.
            AnswerCut: its answer had begun and broke off.
        """
        settings = self._live.current
        raw_target = request.raw_path.encode("ascii")
        headers = RequestHeaders(request.raw_headers)
        if headers.expects_continue():
            connection.skip_linger()

        client = admit(headers, connection.door, settings)
        exchange.client = "-" if client is None else client.name

        target = parse_target(raw_target)
        exchange.target = redact_target(raw_target)
        if target.path.startswith("/-"):
            exchange.is_own_route = True
            return self._ops.answer(request.method, target.path, settings, client)

        pins = (connection.door.listener.profiles, () if client is None else client.profiles)
        route = find_route(target, _named_profile(headers), pins, settings.store)
        exchange.profile = route.profile.name

        authorize(request.method, route.path, route.decoded_path, _rules(route, client))

        signer = self._signer(request.method, route, headers)
        signed_text = signer.start(request.method, route.upstream_url)
        check_length(headers.one(b"content-length"), settings.limits)
        body = await self._body(request, connection, headers, settings, signed_text)
        exchange.body_bytes = body.size
        try:
            outgoing = UpstreamRequest(
                method=request.method,
                url=route.upstream_url,
                headers=with_content_type(request_headers(headers), body.start()),
                body=body,
                signed_text=signed_text,
            )
            answer = await self._send(outgoing, signer, settings, exchange)
        finally:
            body.close()
        return await self._relay(answer, route, request, connection, exchange)

    def _signer(self, method: str, route: Route, headers: RequestHeaders) -> Signer:
        """Who proves what; some calls OVHcloud answers only without a proof."""
        wanted = headers.one(b"x-ovh-proxy-auth")
        if wanted is not None and wanted.lower() != b"none":
            raise BadRequest("the only X-Ovh-Proxy-Auth known is none")
        if wanted is not None or (method, route.path) == ("GET", "/auth/time"):
            return UNSIGNED
        if (method, route.path) == ("POST", "/auth/credential"):
            return self._signers.of_application(route.profile)
        return self._signers.of(route.profile)

    async def _body(
        self,
        request: web.BaseRequest,
        connection: ClientConnection,
        headers: RequestHeaders,
        settings: Settings,
        signed_text: SignedText | None,
    ) -> Body:
        """The request's body, asked for where the client waits to be asked."""
        if headers.expects_continue() and not request.content.is_eof():
            connection.write(_CONTINUE)
            connection.expect_linger()
        is_declared = headers.one(b"content-length") is not None
        return await read_body(
            request.content, is_declared, settings.limits, settings.timeouts, signed_text
        )

    async def _send(
        self, outgoing: UpstreamRequest, signer: Signer, settings: Settings, exchange: Exchange
    ) -> Answer:
        began = time.monotonic()
        try:
            answer = await self._calls.send(outgoing, signer, settings.retries, exchange.attempts)
        finally:
            exchange.upstream_s = time.monotonic() - began
        query_id = answer.incoming.head.header(b"x-ovh-queryid")
        exchange.query_id = None if query_id is None else query_id.decode("latin-1")
        return answer

    async def _relay(
        self,
        answer: Answer,
        route: Route,
        request: web.BaseRequest,
        connection: ClientConnection,
        exchange: Exchange,
    ) -> Reply:
        try:
            keep_alive = await relay(
                answer.incoming,
                relayed_headers(
                    answer.incoming,
                    route,
                    f"{connection.door.scheme}://{request.headers.get('Host', '')}",
                    answer.refusal and hint(answer.refusal, route.profile),
                ),
                connection,
                exchange,
                is_http_1_0=request.version < (1, 1),
                keep_alive=may_keep_alive(request, self._life),
            )
        finally:
            answer.incoming.abandon()
        return Reply(keep_alive)


def _named_profile(headers: RequestHeaders) -> str | None:
    named = headers.one(b"x-ovh-proxy-profile")
    return None if named is None else named.decode("latin-1")


def _rules(route: Route, client: Client | None) -> list[tuple[str, tuple[AccessRule, ...] | None]]:
    """Both have to grant."""
    granted = [(f"profile {route.profile.name}", route.profile.access_rules)]
    if client is not None:
        granted.append((f"client {client.name}", client.access_rules))
    return granted
