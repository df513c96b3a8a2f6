"""Access rules that promise more than a consumer key grants."""

from collections.abc import Iterable

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule

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
