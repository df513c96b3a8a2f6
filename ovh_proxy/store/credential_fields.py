"""Which fields make which kind of credential."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ovh_proxy.core.credentials import (
    AccessToken,
    ApplicationCredential,
    Credential,
    ServiceAccount,
)
from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint
from ovh_proxy.store.record import Field
from ovh_proxy.store.secret_fields import itself, revealed, secret

_SECRET, _PLAIN = secret(itself), secret(revealed)

CREDENTIAL_FIELDS = (
    Field("application_key", _SECRET, "Which application calls; made on the createApp page."),
    Field("application_secret", _SECRET, "What the application signs with; made with its key."),
    Field(
        "consumer_key",
        _SECRET,
        "Which account calls, and what it may; leave it out until `ovh-proxy login` asks for one.",
    ),
    Field("client_id", _PLAIN, "Which service account calls (OAuth2)."),
    Field("client_secret", _SECRET, "What the service account proves itself with (OAuth2)."),
    Field("access_token", _SECRET, "An access token made elsewhere, such as a personal one."),
)
CREDENTIAL_NAMES = tuple(field.name for field in CREDENTIAL_FIELDS)

# What each kind needs, and what it may have.
_KINDS = (
    (("application_key", "application_secret"), ("consumer_key",)),
    (("client_id", "client_secret"), ()),
    (("access_token",), ()),
)
KIND_SCHEMAS = tuple({"required": list(needed)} for needed, _ in _KINDS)
_EACH = "application_key and application_secret, or client_id and client_secret, or access_token"


def credential_problems(present: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with a choice of fields: of which field ("" for none), and what to do."""
    begun = [kind for kind in _KINDS if any(name in present for name in kind[0] + kind[1])]
    firsts = [next(name for name in kind[0] + kind[1] if name in present) for kind in begun]
    if not begun:
        yield "", f"has no credential; give it {_EACH}"
    elif len(begun) > 1:
        yield firsts[1], f"mixes {' and '.join(firsts)}; keep one kind of credential: {_EACH}"
    else:
        for missing in begun[0][0]:
            if missing not in present:
                yield missing, f"is missing: {firsts[0]} is of no use without it"


def token_url_problem(endpoint: Endpoint) -> str | None:
    """Why a service account has no place at an endpoint, and what to do; None when it has."""
    if endpoint.token_url is not None:
        return None
    for known in ENDPOINTS.values():
        if endpoint.base_url == known.base_url and known.token_url is not None:
            return f"a service account at this base URL is written endpoint: {known.name}"
    if endpoint.name in ENDPOINTS:
        return "no service accounts at this endpoint; use application keys, or another endpoint"
    return "a service account at a base URL needs token_url, where its access tokens are asked for"


def make_credential(values: Mapping[str, Any], endpoint: Endpoint) -> Credential:
    """The credential of fields without problems."""
    if "access_token" in values:
        return AccessToken(values["access_token"])
    if "client_id" in values:
        # token_url_problem has seen to it that there is one.
        return ServiceAccount(
            values["client_id"], values["client_secret"], endpoint.token_url or ""
        )
    return ApplicationCredential(
        values["application_key"], values["application_secret"], values.get("consumer_key")
    )
