"""Access rules as the files write them."""

import re

from ovh_proxy.config.field_types import FieldType, list_of, mapped, text
from ovh_proxy.config.nodes import NodeCursor
from ovh_proxy.core.access_rules import METHODS, AccessRule, parse_access_rule
from ovh_proxy.store.nodes import Items, Scalar

_WITH_VERSION = re.compile(r"\S+\s+/(1\.0|v1)(/.*|\*.*)?")


def _parse(rule: str) -> tuple[AccessRule, ...]:
    if rule in METHODS:
        raise ValueError('a rule is METHOD /path; inside [ … ] quote commas: "GET,POST /path"')
    return parse_access_rule(rule)


RULES: FieldType[tuple[AccessRule, ...]] = mapped(
    list_of(
        text(
            _parse,
            pattern=r"^(\*|read-only|read-write|(GET|POST|PUT|PATCH|DELETE)"
            r"(,(GET|POST|PUT|PATCH|DELETE))*)\s+/[^\s?#]*$",
        ),
        empty="no rules grant nothing; leave access_rules out to grant all calls, or list some",
    ),
    lambda lines: tuple(rule for line in lines for rule in line),
)


def note_versioned_rules(cursor: NodeCursor) -> None:
    """Notes rules that would match nothing, because paths are matched without `/1.0` or `/v1`."""
    if not isinstance(cursor.node, Items):
        return
    for index, node in enumerate(cursor.node.items):
        if isinstance(node, Scalar) and _WITH_VERSION.fullmatch(node.text):
            cursor.below(index, node).add_problem(
                "matches nothing: leave /1.0 or /v1 out of a rule's path"
            )
