"""The auth routes: time, consumer keys, what the caller may do; OAuth2 tokens."""

import base64
import binascii
import hmac
import json
import re
from urllib.parse import parse_qs, unquote_plus

from ovh_proxy.sandbox.account_routes import ME
from ovh_proxy.sandbox.authentication import known_application
from ovh_proxy.sandbox.call import Call, ReceivedRequest, Signed, TokenBearer
from ovh_proxy.sandbox.grants import RULE_METHODS, ConsumerKey, Grants, Rule, random_text
from ovh_proxy.sandbox.responses import Response, bad_request, json_response, refusal
from ovh_proxy.sandbox.routes import Route


def read_rules(value: object) -> tuple[Rule, ...]:
    """The requested access rules.

    Raises:
        Refusal: 400 unless the value is a non-empty list of rules with method and path.
    """
    if not isinstance(value, list) or not value:
        raise bad_request("[accessRules] has to be a list of rules")
    return tuple(read_rule(rule) for rule in value)


def read_rule(value: object) -> Rule:
    """One access rule.

    Raises:
        Refusal: 400 for anything else.
    """
    match value:
        case {"method": str(method), "path": str(path)} if path.startswith("/"):
            if method in RULE_METHODS:
                return method, path
    raise bad_request(f"[accessRules] needs a method of {', '.join(RULE_METHODS)} and a path")


def read_redirection(value: object) -> str | None:
    """The URL to redirect the user to, or None.

    Raises:
        Refusal: 400 for anything but a web address.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]+", value):
        raise bad_request("[redirection] has to be a web address")
    return value


def read_allowed_ips(value: object) -> tuple[str, ...] | None:
    """The addresses that may use the key, or None; stored and returned, but not enforced.

    Raises:
        Refusal: 400 for anything but a list of strings.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(block, str) for block in value):
        raise bad_request("[allowedIPs] has to be a list of blocks")
    return tuple(value)


FORM = "application/x-www-form-urlencoded"


class TokenRoutes:
    """Issues tokens with the client credentials grant (RFC 6749 section 4.4)."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def routes(self) -> tuple[Route, ...]:
        path = "/auth/oauth2/token"
        return (Route("POST", path, self.issue, "An access token", is_open=True, version=""),)

    async def issue(self, call: Call) -> Response:
        """A token, or an OAuth2 error."""
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
    """The form fields of the body; empty if the body is not a form."""
    content_type = (received.header("Content-Type") or "").partition(";")[0].strip().lower()
    if content_type != FORM:
        return {}
    fields = parse_qs(received.body.decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def client_of(received: ReceivedRequest, form: dict[str, str]) -> tuple[str, str]:
    """Client ID and secret, from HTTP Basic or from the form."""
    scheme, _, encoded = (received.header("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        plain = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, client_secret = plain.partition(":")
    # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    return unquote_plus(client_id), unquote_plus(client_secret)


def token_error(error: str, description: str) -> Response:
    """An error of the token endpoint."""
    fields = {"error": error, "error_description": description}
    return Response(400, json.dumps(fields).encode())


REQUEST = {"accessRules": "auth.AccessRule[]", "redirection": "string", "allowedIPs": "ipBlock[]"}


class AuthRoutes:
    """The routes under `/auth/`."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/auth/time", tell_time, "The time", "long", is_open=True),
            Route(
                "POST",
                "/auth/credential",
                self.request_key,
                "Request a new credential for your application",
                "auth.Credential",
                is_open=True,
                body=REQUEST,
            ),
            Route(
                "GET",
                "/auth/currentCredential",
                self.current_credential,
                "Get the current credential details",
                "api.Credential",
            ),
            Route("GET", "/auth/details", self.details, "Details of the caller", "auth.Details"),
            Route("POST", "/auth/logout", self.log_out, "Expire current credential"),
        )

    async def request_key(self, call: Call) -> Response:
        """A new consumer key, which is pending until the user validates it."""
        application = known_application(call.received, self._grants)
        fields = call.fields()
        key = self._grants.add_consumer_key(
            random_text(32),
            application_key=application.application_key,
            state="pendingValidation",
            rules=read_rules(fields.get("accessRules")),
            now=call.now,
            redirection=read_redirection(fields.get("redirection")),
            allowed_ips=read_allowed_ips(fields.get("allowedIPs")),
        )
        return json_response(
            {
                "validationUrl": f"{call.origin}/auth/?credentialToken={key.validation_token}",
                "consumerKey": key.consumer_key,
                "state": key.state,
            }
        )

    async def current_credential(self, call: Call) -> Response:
        """The state, rules and expiry of the consumer key that signed the call."""
        key = signing_key(call)
        application = self._grants.applications[key.application_key]
        return json_response(
            {
                "ovhSupport": False,
                "status": key.state_at(call.now),
                "applicationId": application.application_id,
                "credentialId": key.credential_id,
                "rules": [{"method": method, "path": path} for method, path in key.rules],
                "expiration": key.expiration.isoformat() if key.expiration else None,
                "lastUse": key.last_use.isoformat() if key.last_use else None,
                "creation": key.creation.isoformat(),
                "allowedIPs": list(key.allowed_ips) if key.allowed_ips else None,
            }
        )

    async def details(self, call: Call) -> Response:
        """The caller and the kind of its credential."""
        method, rules, user = "account", None, ""
        match call.caller:
            case Signed(consumer_key=key):
                rules = [{"method": verb, "path": path} for verb, path in key.rules]
            case TokenBearer(client_id=str(client_id)):
                method, user = "oauth2_client_credentials", client_id
            case _:  # a personal token
                method, user = "user", "sandbox"
        return json_response(
            {
                "account": ME["nichandle"],
                "allowedRoutes": rules,
                "description": "",
                "identities": [f"urn:v1:eu:identity:account:{ME['nichandle']}"],
                "method": method,
                "roles": [],
                "user": user,
            }
        )

    async def log_out(self, call: Call) -> Response:
        """Expires the consumer key that signed the call."""
        self._grants.set_state(signing_key(call).consumer_key, "expired")
        return json_response(None)


async def tell_time(call: Call) -> Response:
    """The time in whole seconds since the epoch, a bare number."""
    return json_response(int(call.now))


def signing_key(call: Call) -> ConsumerKey:
    """The consumer key that signed the call.

    Raises:
        Refusal: 403 NOT_CREDENTIAL for a call with a token.
    """
    if not isinstance(call.caller, Signed):
        raise refusal("NOT_CREDENTIAL")
    return call.caller.consumer_key
