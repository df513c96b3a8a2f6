"""OAuth2 access tokens: the request that asks for one, and the response read."""

import json
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.errors import CredentialRefused
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.messages import Body, UpstreamRequest

# Renewed this early, so that a token does not expire in transit. Precedent: go-ovh, node-ovh: 10 s.
EARLY_S = 10.0
_MAX_DESCRIPTION = 200
_MAX_LIFETIME_S = 1e9  # also excludes NaN and Infinity, which Python accepts in JSON


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its lifetime in seconds, counted from the response."""

    access_token: Secret
    lifetime: float


def token_request(account: ServiceAccount) -> UpstreamRequest:
    """Requests an access token with the client-credentials grant (RFC 6749 section 4.4).

    Authenticates with HTTP Basic, as python-ovh does. OVHcloud requires `scope=all`.
    """
    client_id = quote_plus(account.client_id)
    secret = quote_plus(account.client_secret.reveal())
    basic = b64encode(f"{client_id}:{secret}".encode())
    form = urlencode({"grant_type": "client_credentials", "scope": "all"}).encode()
    return UpstreamRequest(
        "POST",
        account.token_url,
        (
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Authorization", b"Basic " + basic),
        ),
        Body((form,), len(form), is_declared=True),
    )


def read_token(status: int, body: bytes) -> Token:
    """Reads the response of the token endpoint.

    Raises:
        CredentialRefused: the response is an error or has no token.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise CredentialRefused(f"the token endpoint answered {status} and no JSON")
    token, lifetime = fields.get("access_token"), fields.get("expires_in")
    if status != 200 or not isinstance(token, str) or not _is_sendable(token):
        raise CredentialRefused(f"the token endpoint answered {status}: {_reason(fields)}")
    if not isinstance(lifetime, int | float) or not 0 < lifetime < _MAX_LIFETIME_S:
        lifetime = 0.0  # RFC 6749 section 5.1: expires_in is optional; else used once
    return Token(Secret(token), float(lifetime))


def bearer_header(token: Secret) -> tuple[tuple[bytes, bytes], ...]:
    """The header that authenticates with an access token."""
    return ((b"Authorization", b"Bearer " + token.reveal().encode()),)


def _is_sendable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _reason(fields: dict[str, object]) -> str:
    # RFC 6749 section 5.2: texts for users. The proxy repeats them, so they are cut and printable.
    shown = [fields[key] for key in ("error", "error_description") if key in fields]
    texts = [text for text in shown if isinstance(text, str) and text.isprintable()]
    return " - ".join(texts)[:_MAX_DESCRIPTION] or "without a reason"
