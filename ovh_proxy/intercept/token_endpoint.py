"""Stands in for OAuth2 token endpoints: a made-up token, which stays here."""

import secrets
from dataclasses import replace
from urllib.parse import parse_qs

from ovh_proxy.config.live import LiveSettings
from ovh_proxy.core.errors import UnknownRoute
from ovh_proxy.core.settings import Settings
from ovh_proxy.core.target import parse_target
from ovh_proxy.http1.connection import ClientConnection
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.http1.request import ClientRequest
from ovh_proxy.http1.response import CONTINUE, LocalResponse, json_response
from ovh_proxy.limits.concurrency import ConcurrencyLimiter
from ovh_proxy.policy.client_auth import EntryPoint, admit, client_of, shown_tokens
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.proxy.admin_routes import UnsupportedMethod
from ovh_proxy.proxy.body import BodyLimits, check_length, read_body

TOKEN_PATH = "/auth/oauth2/token"  # noqa: S105 - a path
# As at OVHcloud's token endpoint: an hour, less a second for the response to arrive.
_LIFETIME_S = 3599
_MAX_BYTES = 16_384


class OnlyPost(UnsupportedMethod):
    """Tokens are requested with POST (RFC 6749 section 3.2)."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Allow", b"POST"),)


class TokenEndpoint:
    """Gives an authenticated client a token that authenticates it again, as a client token does."""

    def __init__(self, live: LiveSettings, limiter: ConcurrencyLimiter) -> None:
        self._live = live
        self._limiter = limiter

    async def __call__(
        self, request: ClientRequest, connection: ClientConnection, exchange: Exchange
    ) -> LocalResponse:
        """Serves one request.

        Raises:
            OvhProxyError: it was rejected.
        """
        settings = self._live.current
        headers = RequestHeaders(request.raw_headers)
        target = parse_target(request.raw_target)
        exchange.is_target_read = True
        form = await self._form(request, headers, settings, connection)
        entry_point = connection.entry_point
        entry_point = replace(entry_point, tokens=(*entry_point.tokens, *_client_secrets(form)))
        client = admit(headers, entry_point, settings)
        exchange.client = "-" if client is None else client.name
        if target.path != TOKEN_PATH:
            raise UnknownRoute(f"only {TOKEN_PATH} is served on {entry_point.host_port}")
        if request.method != "POST":
            raise OnlyPost(
                f"method '{request.method[:80]}' is not allowed; use POST to request a token"
            )
        exchange.is_own_route = True
        return _token_response(_token(headers, entry_point, settings))

    async def _form(
        self,
        request: ClientRequest,
        headers: RequestHeaders,
        settings: Settings,
        connection: ClientConnection,
    ) -> bytes:
        limits = replace(settings.limits, body_bytes=_MAX_BYTES, memory_body_bytes=_MAX_BYTES)
        check_length(headers.one(b"content-length"), limits)
        if headers.expects_continue():
            connection.write(CONTINUE)
        with self._limiter.enter(settings.limits) as permit:
            body_limits = BodyLimits(limits, settings.timeouts, permit)
            body = await read_body(request.content, False, body_limits, None)
        return b"".join(body.chunks)


def _client_secrets(form: bytes) -> list[bytes]:
    try:
        fields = parse_qs(form.decode("ascii"), max_num_fields=32)
    except ValueError:
        return []
    return [one.encode() for one in fields.get("client_secret", [])]


def _token(headers: RequestHeaders, entry_point: EntryPoint, settings: Settings) -> str:
    """Returns the client's own token: only that is accepted as `Authorization: Bearer` later."""
    for shown in (*shown_tokens(headers), *entry_point.tokens):
        if client_of((shown,), entry_point.listener, settings.clients) is not None:
            return shown.decode("latin-1")
    return secrets.token_urlsafe(32)


def _token_response(token: str) -> LocalResponse:
    # RFC 6749 section 5.1, as OVHcloud writes it.
    value = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": _LIFETIME_S,
        "scope": "all",
    }
    return json_response(200, value, ((b"Pragma", b"no-cache"),))
