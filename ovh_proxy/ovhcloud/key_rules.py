"""Access rules as consumer keys have them: what can be asked for, and what a key does not grant."""

from collections.abc import Iterable
from urllib.parse import quote

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint

# The methods that rules of consumer keys know; source: `auth.HTTPMethodEnum`.
_KEY_METHODS = ("GET", "POST", "PUT", "DELETE")


def wider_rules(rules: Iterable[AccessRule], of_key: Iterable[str]) -> tuple[str, ...]:
    """What of the rules OVHcloud would refuse, a method and a path each; nothing when in doubt.

    Args:
        of_key: as OVHcloud tells them: `METHOD,METHOD /path`.
    """
    try:
        granted = [rule for text in of_key for rule in parse_access_rule(text)]
    except ValueError:  # a rule of a kind that we do not know
        return ()
    return tuple(
        f"{method} {rule.pattern}"
        for rule in rules
        # The rights of v2 are not among those of a key.
        if not rule.pattern.startswith("/v2/")
        for method in _KEY_METHODS
        if rule.covers(method) and not _is_granted(method, rule.pattern, granted)
    )


def _is_granted(method: str, pattern: str, granted: Iterable[AccessRule]) -> bool:
    # A `*` of the pattern can stand only where one of the key's does, which then takes whatever it
    # stands for. Rules that cover a pattern only together are rare enough to be told as too few.
    return any(rule.covers(method) and rule.matches_raw(pattern) for rule in granted)


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
