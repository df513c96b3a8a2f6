"""The API's description of itself: its sections, and the path templates in them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ovh_proxy.core.endpoints import Endpoint

# Sections become part of URLs and file names.
_SECTION = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Node | None" = None
    is_end: bool = False


class Templates:
    """The path templates of one section, such as `/domain/zone/{zoneName}/record`."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._root = _Node()
        for template in templates:
            node = self._root
            for piece in template.split("/"):
                if "{" in piece:
                    node.variable = node.variable or _Node()
                    node = node.variable
                else:
                    node = node.literals.setdefault(piece, _Node())
            node.is_end = True

    def pattern(self, path: str) -> str | None:
        """The path with `*` for each variable of its template; None if no template matches.

        Source: node-ovh's `warnsRequest`: a literal segment takes precedence over `{…}`.
        """
        found = _walk(self._root, path.split("/"), 0)
        return None if found is None else "/".join(found)


def _walk(node: _Node, pieces: list[str], at: int) -> list[str] | None:
    if at == len(pieces):
        return [] if node.is_end else None
    piece = pieces[at]
    literal = node.literals.get(piece)
    if literal is not None and (rest := _walk(literal, pieces, at + 1)) is not None:
        return [piece, *rest]
    if node.variable is not None and piece:
        rest = _walk(node.variable, pieces, at + 1)
        return None if rest is None else ["*", *rest]
    return None


def schema_base(endpoint: Endpoint, version: str) -> str:
    """The base URL of a version's schema: the index is `BASE/`, a section `BASE/me.json`.

    Args:
        version: from `split_version` of a path as access rules see it.
    """
    return endpoint.root + version if version else endpoint.base_url


def sections_above(path: str) -> tuple[str, ...]:
    """Every section that could describe a path (without version), longest first."""
    pieces = path.split("/")
    above = ("/".join(pieces[:end]) for end in range(len(pieces), 1, -1))
    return tuple(section for section in above if _SECTION.fullmatch(section))


def read_index(body: bytes | str) -> frozenset[str]:
    """The sections that an index lists.

    Raises:
        ValueError: the body is not an index.
    """
    return frozenset(path for path, _ in _apis(body) if _SECTION.fullmatch(path))


def read_section(body: bytes | str) -> Templates:
    """The templates of a section; empty for an index, whose entries have no operations.

    Raises:
        ValueError: the body is neither a section nor an index.
    """
    return Templates(path for path, entry in _apis(body) if entry.get("operations"))


def _apis(body: bytes | str) -> list[tuple[str, dict[str, object]]]:
    try:
        fields = json.loads(body)
    except RecursionError:
        fields = None
    apis = fields.get("apis") if isinstance(fields, dict) else None
    if not isinstance(apis, list):
        raise ValueError("not an API schema: no list `apis`")
    return [
        (entry["path"], entry)
        for entry in apis
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    ]
