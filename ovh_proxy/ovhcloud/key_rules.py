"""The createToken page, with the rights to ask for filled in."""

from collections.abc import Iterable
from urllib.parse import quote

from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint

# Source: `auth.HTTPMethodEnum` of OVHcloud's schema.
KEY_METHODS = ("GET", "POST", "PUT", "DELETE")
# Needs the application key alone, so that no consumer key has to grant it.
_UNSIGNED = ("POST", "/auth/credential")


def create_token_url(endpoint: str, rules: Iterable[AccessRule]) -> str | None:
    """The page that makes all three keys with these rights; None where no page is known.

    What no rule of a consumer key can name is left out.

    Args:
        endpoint: its name, or its base URL.

    Source: OVHcloud's guides: `/createToken/?GET=/domain/zone/*&POST=/domain/zone/*`.
    """
    page = _page(endpoint)
    # Readable for whoever checks what they are about to grant.
    wanted = [f"{method}={quote(path, safe='/*')}" for method, path in key_rules(rules)]
    return f"{page}?{'&'.join(wanted)}" if page and wanted else None


def key_rules(rules: Iterable[AccessRule]) -> tuple[tuple[str, str], ...]:
    """Method and path of each rule as a consumer key has them."""
    return tuple(
        (method, rule.pattern)
        for rule in rules
        for method in KEY_METHODS
        if rule.covers(method) and not is_v2(rule.pattern) and (method, rule.pattern) != _UNSIGNED
    )


def is_v2(pattern: str) -> bool:
    """Whether a rule is of API v2; how a consumer key's rules name those is not documented."""
    return pattern == "/v2" or pattern.startswith("/v2/")


def _page(endpoint: str) -> str | None:
    known: Iterable[Endpoint] = ENDPOINTS.values()
    return next((e.create_token_url for e in known if endpoint in (e.name, e.base_url)), None)
