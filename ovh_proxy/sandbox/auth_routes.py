"""The API's own auth routes: time, consumer keys, and what the caller may do."""

from ovh_proxy.sandbox.accounts import ME
from ovh_proxy.sandbox.authentication import known_application
from ovh_proxy.sandbox.call import Call, Signed, TokenBearer
from ovh_proxy.sandbox.credentials import ConsumerKey
from ovh_proxy.sandbox.grants import Grants, random_text
from ovh_proxy.sandbox.key_request import read_allowed_ips, read_redirection, read_rules
from ovh_proxy.sandbox.refusals import refusal
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

REQUEST = {"accessRules": "auth.AccessRule[]", "redirection": "string", "allowedIPs": "ipBlock[]"}


class AuthRoutes:
    """The routes under `/auth/`."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def routes(self) -> tuple[Route, ...]:
        """The routes, for the table."""
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
        """A new consumer key, pending until the user decides."""
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
        """What the key that signed may do, and until when."""
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
        """Who calls, and by which kind of credential."""
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
        """The key that signed this is the last thing it signed."""
        self._grants.set_state(signing_key(call).consumer_key, "expired")
        return json_response(None)


async def tell_time(call: Call) -> Response:
    """Whole seconds since the epoch: a bare number."""
    return json_response(int(call.now))


def signing_key(call: Call) -> ConsumerKey:
    """The consumer key of the call; a token is none.

    Raises:
        Refusal: 403 NOT_CREDENTIAL.
    """
    if not isinstance(call.caller, Signed):
        raise refusal("NOT_CREDENTIAL")
    return call.caller.consumer_key
