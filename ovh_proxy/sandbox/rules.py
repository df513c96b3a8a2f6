"""Access rules of a consumer key: which calls it grants."""

import re
from collections.abc import Iterable

# Source: `auth.HTTPMethodEnum` of OVHcloud's schema.
RULE_METHODS = ("GET", "POST", "PUT", "DELETE")

Rule = tuple[str, str]  # method, path pattern

EVERYTHING: tuple[Rule, ...] = tuple((method, "/*") for method in RULE_METHODS)


def matches(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern, where `*` stands for anything, slashes included."""
    pieces = (re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(".*".join(pieces), path, re.DOTALL) is not None


def grants(rules: Iterable[Rule], method: str, path: str) -> bool:
    """Whether one of the rules grants the call.

    GET grants HEAD. A method that no rule can name (PATCH, OPTIONS) needs a rule for its path.
    """
    wanted = "GET" if method == "HEAD" else method
    return any(
        matches(pattern, path) and (wanted == granted or wanted not in RULE_METHODS)
        for granted, pattern in rules
    )
