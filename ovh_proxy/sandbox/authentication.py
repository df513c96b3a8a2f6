"""Who is calling: the checks of OVHcloud's front, signature included, in their order."""

import hashlib
import hmac

from ovh_proxy.sandbox.call import Anyone, Call, Caller, ReceivedRequest, Signed, TokenBearer
from ovh_proxy.sandbox.grants import Application, ConsumerKey, Grants
from ovh_proxy.sandbox.grants import grants as rules_grant
from ovh_proxy.sandbox.responses import bad_request, refusal
from ovh_proxy.sandbox.routes import Route


def expected_signature(
    application_secret: str,
    consumer_key: str,
    method: str,
    url: bytes,
    body: bytes,
    timestamp: str,
) -> str:
    """The correct value of `X-Ovh-Signature`.

    Args:
        url: scheme, host, path and query, byte for byte as sent.
        timestamp: as in `X-Ovh-Timestamp`.

    Source: "First Steps with the OVHcloud APIs": `"$1$" + SHA1_HEX(AS+"+"+CK+"+"+METHOD+"+"+
    QUERY+"+"+BODY+"+"+TSTAMP)`. SHA-1 is OVHcloud's choice; there is no other version.
    """
    parts = (
        application_secret.encode(),
        consumer_key.encode(),
        method.encode(),
        url,
        body,
        timestamp.encode(),
    )
    return "$1$" + hashlib.sha1(b"+".join(parts), usedforsecurity=False).hexdigest()


def is_signature(claimed: str, expected: str) -> bool:
    """Whether both are equal, compared in constant time."""
    return hmac.compare_digest(claimed.encode(), expected.encode())


APPLICATION = "X-Ovh-Application"
CONSUMER = "X-Ovh-Consumer"
TIMESTAMP = "X-Ovh-Timestamp"
SIGNATURE = "X-Ovh-Signature"
AUTHORIZATION = "Authorization"
# Headers that may occur only once; aiohttp checks Host.
ONCE = (APPLICATION, CONSUMER, TIMESTAMP, SIGNATURE, AUTHORIZATION)
# Every key may read its own state: OVHcloud allows it to keys whose rules do not include it and to
# keys that are not validated yet, whose state clients poll.
# Source: the real response quoted in ovh/node-ovh issue 20; `status` in the response's schema.
ALWAYS_GRANTED = frozenset({("GET", "/auth/currentCredential")})


def admit(call: Call, route: Route | None, grants: Grants, window: float) -> Caller:
    """The caller, if it may make the call.

    Args:
        route: None for an unknown route, which OVHcloud reports to authorized callers and to
            callers without credentials.
        window: how many seconds the timestamp may be off.

    Raises:
        Refusal: the first check that fails.
    """
    check_headers(call.received)
    if route is not None and route.is_open:
        return Anyone()
    if has_token(call.received):
        return token_bearer(call.received, grants, call.now)
    if route is None and call.received.header(APPLICATION) is None:
        return Anyone()
    caller = signer(call, grants, window)
    authorize(caller.consumer_key, call)
    return caller


def check_headers(received: ReceivedRequest) -> None:
    """Rejects ambiguous credentials.

    Raises:
        Refusal: 400 for a repeated header, or for a token together with a signature.
    """
    for name in ONCE:
        if len(received.values(name)) > 1:
            raise bad_request(f"The header {name} came more than once")
    if has_token(received) and any(map(received.values, (APPLICATION, CONSUMER, SIGNATURE))):
        raise bad_request("Authorization and X-Ovh-* headers exclude each other")


def has_token(received: ReceivedRequest) -> bool:
    """Whether the request carries a token rather than a signature."""
    return received.header(AUTHORIZATION) is not None


def token_bearer(received: ReceivedRequest, grants: Grants, now: float) -> TokenBearer:
    """The caller that sent the token.

    Raises:
        Refusal: 401 for an unknown or expired token.
    """
    scheme, _, token = (received.header(AUTHORIZATION) or "").partition(" ")
    if scheme.lower() != "bearer" or not grants.is_token(token, now):
        raise refusal("INVALID_TOKEN")
    return TokenBearer(grants.token_owners.get(token))


def known_application(received: ReceivedRequest, grants: Grants) -> Application:
    """The application whose key the request carries.

    Raises:
        Refusal: 401 without an application key, 403 INVALID_KEY for an unknown one.
    """
    key = received.header(APPLICATION)
    if key is None:
        raise refusal("MISSING_CREDENTIAL")
    application = grants.applications.get(key)
    if application is None:
        raise refusal("INVALID_KEY")
    return application


def signer(call: Call, grants: Grants, window: float) -> Signed:
    """The caller that signed the request.

    Raises:
        Refusal: the first check that fails.
    """
    received = call.received
    application = known_application(received, grants)
    if received.header(CONSUMER) is None and received.header(SIGNATURE) is None:
        raise refusal("MISSING_CREDENTIAL")
    timestamp = received.header(TIMESTAMP) or ""
    if not is_in_time(timestamp, call.now, window):
        raise refusal("QUERY_TIME_OUT")
    consumer_key = grants.consumer_keys.get(received.header(CONSUMER) or "")
    if consumer_key is None or consumer_key.application_key != application.application_key:
        raise refusal("NOT_CREDENTIAL")
    expected = expected_signature(
        application.application_secret,
        consumer_key.consumer_key,
        received.method,
        call.origin.encode("latin-1") + received.target,
        received.body,
        timestamp,
    )
    if not is_signature(received.header(SIGNATURE) or "", expected):
        raise refusal("INVALID_SIGNATURE")
    return Signed(application, consumer_key)


def is_in_time(timestamp: str, now: float, window: float) -> bool:
    """Whether the timestamp is a plain number of seconds, at most `window` away from `now`."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15
    return is_number and abs(int(timestamp) - now) <= window


def authorize(key: ConsumerKey, call: Call) -> None:
    """Checks that the key is valid and that its rules grant the call.

    Raises:
        Refusal: 403 INVALID_CREDENTIAL for a key that is not valid, NOT_GRANTED_CALL if none of
            its rules grants the call.
    """
    method, path = call.received.method, call.api_path.rule_path
    if (method, path) in ALWAYS_GRANTED:
        return
    if key.state_at(call.now) != "validated":
        raise refusal("INVALID_CREDENTIAL")
    if not rules_grant(key.rules, method, path):
        raise refusal("NOT_GRANTED_CALL")
