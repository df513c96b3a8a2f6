"""The way of one request."""

import time

from aiohttp import web

from ovh_proxy.core.access_rules import AccessRule, authorize
from ovh_proxy.core.auth_api import hint
from ovh_proxy.core.batch_rules import authorize_batch
from ovh_proxy.core.errors import BadRequest
from ovh_proxy.core.guard import admit
from ovh_proxy.core.headers import RequestHeaders, request_headers, with_content_type
from ovh_proxy.core.messages import UpstreamRequest
from ovh_proxy.core.redaction import redact_target
from ovh_proxy.core.route import Route, find_route, is_own
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.core.target import parse_target
from ovh_proxy.server.body import Bounds, check_length, read_body
from ovh_proxy.server.connection import ClientConnection
from ovh_proxy.server.exchange import Exchange
from ovh_proxy.server.gate import Gate
from ovh_proxy.server.middleware import may_keep_alive
from ovh_proxy.server.ops import Life, Ops
from ovh_proxy.server.recorder import NoRecorder, Recorder
from ovh_proxy.server.relay import relay, relayed_headers
from ovh_proxy.server.reply import OwnAnswer, Reply
from ovh_proxy.store.live import LiveSettings
from ovh_proxy.upstream.calls import Answer, Calls
from ovh_proxy.upstream.signers import UNSIGNED, Signer, Signers

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Proxy:
    """Takes a client's request through to OVHcloud and its answer back."""

    def __init__(
        self,
        live: LiveSettings,
        signers: Signers,
        calls: Calls,
        ops: Ops,
        life: Life,
        recorder: Recorder | NoRecorder,
        gate: Gate,
    ) -> None:
        self._live = live
        self._signers = signers
        self._calls = calls
        self._ops = ops
        self._life = life
        self._recorder = recorder
        self._gate = gate

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
        if is_own(target.path):
            exchange.is_own_route = True
            return self._ops.answer(request.method, target.path, settings, client)

        pins = (connection.door.listener.profiles, () if client is None else client.profiles)
        route = find_route(target, _named_profile(headers), pins, settings.store)
        exchange.profile = route.profile.name
        _authorize(request.method, route, headers, client)

        signer = self._signer(request.method, route, headers)
        check_length(headers.one(b"content-length"), settings.limits)
        await self._gate.wait_in_turn(route.profile, client, settings.limits)
        with self._gate.enter(settings.limits) as share:
            bounds = Bounds(settings.limits, settings.timeouts, share)
            outgoing = await self._outgoing(request, connection, headers, route, signer, bounds)
            exchange.body_bytes = outgoing.body.size
            try:
                answer = await self._send(outgoing, signer, settings, exchange)
            finally:
                outgoing.body.close()
                share.give_back()
            self._recorder.note(route, request.method, answer.incoming.head.status, answer.refusal)
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

    async def _outgoing(
        self,
        request: web.BaseRequest,
        connection: ClientConnection,
        headers: RequestHeaders,
        route: Route,
        signer: Signer,
        bounds: Bounds,
    ) -> UpstreamRequest:
        """The request as it goes out, its body whole and hashed, all but the proof."""
        if headers.expects_continue() and not request.content.is_eof():
            connection.write(_CONTINUE)
            connection.expect_linger()
        signed_text = signer.start(request.method, route.upstream_url)
        body = await read_body(
            request.content,
            headers.one(b"content-length") is not None,
            bounds,
            signed_text,
        )
        return UpstreamRequest(
            method=request.method,
            url=route.upstream_url,
            headers=with_content_type(request_headers(headers), body.start()),
            body=body,
            signed_text=signed_text,
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


def _authorize(method: str, route: Route, headers: RequestHeaders, client: Client | None) -> None:
    """The rules of the profile and those of the client both have to grant the call."""
    granted: list[tuple[str, tuple[AccessRule, ...] | None]] = [
        (f"profile {route.profile.name}", route.profile.access_rules)
    ]
    if client is not None:
        granted.append((f"client {client.name}", client.access_rules))
    authorize(method, route.path, route.decoded_path, granted)
    authorize_batch(method, route.path, headers.all(b"x-ovh-batch"), granted)
