"""OVHcloud's own auth calls: consumer keys, their state, the clock; what a refusal means."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from ovh_proxy.core.access_rules import METHODS, AccessRule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import Endpoint, is_loopback
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.key_rules import KEY_METHODS
from ovh_proxy.ovhcloud.messages import UpstreamRequest, json_body, read_error
from ovh_proxy.ovhcloud.signature import application_header

_KEY = re.compile(r"[!-~]{1,256}")
_URL = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A consumer key that is not validated yet, and the page where its owner validates it."""

    consumer_key: Secret
    validation_url: str


def read_new_key(body: bytes) -> NewKey:
    """Reads the response to a credential request.

    Raises:
        ValueError: key or page is missing, or a browser should not open the page.
    """
    fields = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    key, url = fields.get("consumerKey"), fields.get("validationUrl")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError("no consumer key")
    if not isinstance(url, str) or not is_validation_url(url):
        raise ValueError("no validation URL")
    return NewKey(Secret(key), url)


def is_validation_url(url: str) -> bool:
    """Whether a browser may open it: a web address, with TLS unless it is on this machine."""
    if not _URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


TIME_PATH = "/auth/time"
CREDENTIAL_PATH = "/auth/credential"
_JSON = ((b"Content-Type", b"application/json"),)

_MESSAGES = {
    "This application key is invalid": "INVALID_KEY",
    "Invalid application key": "INVALID_KEY",
    "Invalid signature": "INVALID_SIGNATURE",
    "Query out of time": "QUERY_TIME_OUT",
    "This credential does not exist": "NOT_CREDENTIAL",
    "This credential is not valid": "INVALID_CREDENTIAL",
    "This call has not been granted": "NOT_GRANTED_CALL",
}

_HINTS = {
    "INVALID_KEY": "check the application key, and that it was created at {endpoint}: {create_app}",
    "NOT_CREDENTIAL": "run: ovh-proxy login --profile {profile}",
    "INVALID_CREDENTIAL": "run: ovh-proxy login --profile {profile}",
    "INVALID_SIGNATURE": "check the application secret of profile {profile}: ovh-proxy check",
    "NOT_GRANTED_CALL": "the consumer key's own rules do not cover this call; request a key that "
    "does: ovh-proxy login --profile {profile} --rule 'METHOD /path'",
}


def time_request(endpoint: Endpoint) -> UpstreamRequest:
    """Requests OVHcloud's time, without authentication."""
    return UpstreamRequest("GET", endpoint.base_url + TIME_PATH)


def read_time(body: bytes) -> int:
    """Whole seconds since the epoch.

    Raises:
        ValueError: not a bare number.
    """
    digits = body.strip()
    if not digits.isdigit():  # int() would take signs and underscores too
        raise ValueError("not a number of seconds")
    return int(digits)


def credential_request(
    endpoint: Endpoint,
    credential: ApplicationCredential,
    rules: Iterable[AccessRule],
    redirection: str | None = None,
    allowed_ips: tuple[str, ...] = (),
) -> UpstreamRequest:
    """Requests a new consumer key, which its owner then validates in a browser."""
    fields: dict[str, object] = {
        "accessRules": [
            {"method": method, "path": rule.pattern}
            for rule in rules
            for method in KEY_METHODS
            if rule.covers(method)
        ]
    }
    if redirection is not None:
        fields["redirection"] = redirection
    if allowed_ips:
        fields["allowedIPs"] = list(allowed_ips)
    return UpstreamRequest(
        "POST",
        endpoint.base_url + CREDENTIAL_PATH,
        _JSON + application_header(credential),
        json_body(fields),
    )


@dataclass(frozen=True, slots=True)
class CredentialState:
    """The state of a consumer key at OVHcloud.

    Attributes:
        status: `pendingValidation`, `validated`, `refused` or `expired`.
        expiration: None for a key that never expires.
        rules: the key's rules, each `METHOD,METHOD /path`.
    """

    status: str
    expiration: datetime | None
    rules: tuple[str, ...]


def read_credential_state(body: bytes) -> CredentialState:
    """Reads the response to `GET /auth/currentCredential`.

    Raises:
        ValueError: not a credential.
    """
    fields = json.loads(body)
    if not isinstance(fields, dict) or not isinstance(fields.get("status"), str):
        raise ValueError("not a credential")
    rules = fields.get("rules") or []
    return CredentialState(
        status=fields["status"],
        expiration=_read_date(fields.get("expiration")),
        rules=_joined_rules(rules if isinstance(rules, list) else []),
    )


def _read_date(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _joined_rules(rules: list[object]) -> tuple[str, ...]:
    methods: dict[str, list[str]] = {}
    for rule in rules:
        if isinstance(rule, dict):
            methods.setdefault(str(rule.get("path")), []).append(str(rule.get("method")))
    order = {method: index for index, method in enumerate(METHODS)}
    return tuple(
        f"{','.join(sorted(found, key=lambda m: order.get(m, len(order))))} {path}"
        for path, found in methods.items()
    )


def refusal_of(status: int, body: bytes) -> str | None:
    """The code of a response that rejects the credential; None for any other response.

    Source: OVHcloud uses two formats; the message is the only field that both have.
    """
    if status not in (400, 401, 403):
        return None
    code, message = read_error(body)
    return code if code in _MESSAGES.values() else _MESSAGES.get(message or "")


def hint(refusal: str, profile: Profile) -> str | None:
    """One line that says how to fix a rejected credential, or None."""
    text = _HINTS.get(refusal)
    return text and text.format(
        profile=profile.name,
        endpoint=profile.endpoint.name,
        create_app=profile.endpoint.create_app_url or "its createApp page",
    )
