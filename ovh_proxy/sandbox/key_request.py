"""What a new consumer key is asked to be: read and checked."""

import re

from ovh_proxy.sandbox.refusals import bad_request
from ovh_proxy.sandbox.rules import RULE_METHODS, Rule


def read_rules(value: object) -> tuple[Rule, ...]:
    """The access rules asked for.

    Raises:
        Refusal: 400 unless it is a list with at least one rule, each with method and path.
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
    """Where to send the user afterwards.

    Raises:
        Refusal: 400 unless it is a web address, or missing.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]+", value):
        raise bad_request("[redirection] has to be a web address")
    return value


def read_allowed_ips(value: object) -> tuple[str, ...] | None:
    """Which addresses may use the key. They are remembered and shown, but not checked.

    Raises:
        Refusal: 400 unless it is a list of texts, or missing.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(block, str) for block in value):
        raise bad_request("[allowedIPs] has to be a list of blocks")
    return tuple(value)
