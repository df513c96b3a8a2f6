"""Access rules as consumer keys have them: what can be asked for, and what a key does not grant."""

from collections.abc import Iterable
from urllib.parse import quote

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint

# The methods that rules of consumer keys can have.
# Source: `auth.HTTPMethodEnum` of OVHcloud's schema.
KEY_METHODS = ("GET", "POST", "PUT", "DELETE")
# This call needs only the application key, so consumer keys need no rule for it.
_UNSIGNED = ("POST", "/auth/credential")


def wider_rules(rules: Iterable[AccessRule], of_key: Iterable[str]) -> tuple[str, ...]:
    """The rules, split by method, that a consumer key does not cover; empty when in doubt.

    Args:
        of_key: rules of the key in OVHcloud's format: `METHOD,METHOD /path`.
    """
    try:
        granted = [rule for text in of_key for rule in parse_access_rule(text)]
    except ValueError:  # an unknown kind of rule
        return ()
    return tuple(
        f"{method} {rule.pattern}"
        for rule in rules
        # Consumer keys have no rules for v2.
        if not rule.pattern.startswith("/v2/")
        for method in KEY_METHODS
        if rule.covers(method) and not _is_granted(method, rule.pattern, granted)
    )


def _is_granted(method: str, pattern: str, granted: Iterable[AccessRule]) -> bool:
    # Only a `*` of the key's rule matches a `*` of the pattern, and it then covers everything that
    # one matches. Several rules that cover a pattern only together are rare, so this reports them.
    return any(rule.covers(method) and rule.matches_raw(pattern) for rule in granted)


def create_token_url(endpoint: str, rules: Iterable[AccessRule]) -> str | None:
    """The page that creates all three keys with these rules; None if no page is known.

    Leaves out rules that consumer keys cannot have.

    Args:
        endpoint: its name, or its base URL.

    Source: OVHcloud's guides: `/createToken/?GET=/domain/zone/*&POST=/domain/zone/*`.
    """
    page = _page(endpoint)
    # Keeps / and * readable, because users check these rules before they grant them.
    wanted = [f"{method}={quote(path, safe='/*')}" for method, path in key_rules(rules)]
    return f"{page}?{'&'.join(wanted)}" if page and wanted else None


def key_rules(rules: Iterable[AccessRule]) -> tuple[tuple[str, str], ...]:
    """Method and path of each rule that consumer keys can have."""
    return tuple(
        (method, rule.pattern)
        for rule in rules
        for method in KEY_METHODS
        if rule.covers(method) and not is_v2(rule.pattern) and (method, rule.pattern) != _UNSIGNED
    )


def is_v2(pattern: str) -> bool:
    """Whether a rule is for API v2; its form in consumer keys is not documented."""
    return pattern == "/v2" or pattern.startswith("/v2/")


def _page(endpoint: str) -> str | None:
    known: Iterable[Endpoint] = ENDPOINTS.values()
    return next((e.create_token_url for e in known if endpoint in (e.name, e.base_url)), None)
