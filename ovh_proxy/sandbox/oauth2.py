"""The token endpoint: access tokens for service accounts."""

import base64
import binascii
import hmac
import json
from urllib.parse import parse_qs, unquote_plus

from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.grants import Grants
from ovh_proxy.sandbox.received import ReceivedRequest
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

FORM = "application/x-www-form-urlencoded"


class TokenRoutes:
    """Issues tokens by the client credentials grant (RFC 6749, section 4.4)."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def routes(self) -> tuple[Route, ...]:
        """The route, for the table."""
        path = "/auth/oauth2/token"
        return (Route("POST", path, self.issue, "An access token", is_open=True, version=""),)

    async def issue(self, call: Call) -> Response:
        """A token, or the reason why not."""
        form = read_form(call.received)
        client_id, client_secret = client_of(call.received, form)
        known = self._grants.service_accounts.get(client_id)
        if form.get("grant_type") != "client_credentials":
            return token_error("unsupported_grant_type", "the grant type is not supported")
        if known is None:
            return token_error("invalid_client", "ovhcloud oauth2 client does not exists")
        if not hmac.compare_digest(known.encode(), client_secret.encode()):
            return token_error("invalid_client_credentials", "client secret invalid")
        if form.get("scope") != "all":
            return token_error("invalid_scope", "the scope has to be: all")
        return json_response(
            {
                "access_token": self._grants.issue_token(client_id, call.now),
                "token_type": "Bearer",
                "expires_in": int(self._grants.token_lifetime),
                "scope": "all",
            }
        )


def read_form(received: ReceivedRequest) -> dict[str, str]:
    """The fields of the body; none when it is no form."""
    content_type = (received.header("Content-Type") or "").partition(";")[0].strip().lower()
    if content_type != FORM:
        return {}
    fields = parse_qs(received.body.decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def client_of(received: ReceivedRequest, form: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, by HTTP Basic or from the form."""
    scheme, _, encoded = (received.header("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        plain = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, client_secret = plain.partition(":")
    # Both are form-encoded before they are joined: RFC 6749, section 2.3.1.
    return unquote_plus(client_id), unquote_plus(client_secret)


def token_error(error: str, description: str) -> Response:
    """An error as the token endpoint tells it."""
    fields = {"error": error, "error_description": description}
    return Response(400, json.dumps(fields).encode())
