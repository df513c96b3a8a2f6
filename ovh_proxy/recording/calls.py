"""Recorded calls: one kind each, identifiers as `*`, and the smallest access rules for them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ovh_proxy.core.access_rules import METHODS, AccessRule, parse_access_rule
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.redaction import printable
from ovh_proxy.core.target import decode_fully, split_version
from ovh_proxy.recording.api_schema import Templates

_SHAPES = re.compile(
    "|".join(
        (
            # Characters that literal API segments never contain: IP blocks, e-mail addresses, URNs.
            r".*[^A-Za-z0-9._~-].*",
            r"[0-9.]*[0-9]",  # numbers, IPv4 addresses
            r"[0-9a-fA-F]{16,}",  # a Public Cloud project
            r"(?=[a-f]*[0-9])[0-9a-f]{8,}",
            r"[A-Z]{2,4}[0-9]{1,12}",  # a bill FR12345678, a region GRA11
            r"[A-Z]{2}\.[0-9a-f]{16}",  # a service account's client ID
            r"(?=[^0-9]*[0-9])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+",  # UUIDs, vps-1a2b3c, pp123-ovh
            r"vps-[0-9a-f]{6,}",
            # Host and domain names.
            r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,63}|xn--[a-z0-9-]+)\.?",
        )
    ),
    re.DOTALL,
)

# The API's schema files, which look like domain names.
_FILE = re.compile(r"[A-Za-z0-9_-]+\.(?:json|yaml)")
_LIST = re.compile(r"[,;|]")


def is_identifier(segment: str) -> bool:
    """Whether a path segment, percent-escapes included, is clearly an identifier.

    A batch list such as `1,2,3` is one if every element is.

    Raises:
        ValueError: the escapes are nested too deep.
    """
    elements = [element for element in _LIST.split(decode_fully(segment)) if element]
    return bool(elements) and all(
        _SHAPES.fullmatch(element) and not _FILE.fullmatch(element) for element in elements
    )


_CALL = re.compile(r"([A-Z][A-Z0-9_-]*) (/[!-~]*)")
# Access rules allow it only by its exact path, so no wider rule replaces its own.
_LOGOUT = "/auth/logout"
_MAX_PROBLEMS = 10


@dataclass(frozen=True, slots=True, order=True)
class RecordedCall:
    """One kind of call that OVHcloud accepted.

    Attributes:
        endpoint: its name or base URL.
        path: an access rule's pattern: `*` for identifiers, a version prefix only for v2.
    """

    profile: str
    endpoint: str
    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def to_line(self) -> str:
        """The call as a line of a recording, a JSON object."""
        fields = {"profile": self.profile, "endpoint": self.endpoint, "call": str(self)}
        return json.dumps(fields) + "\n"


def parse_recording(text: str, source: str) -> tuple[RecordedCall, ...]:
    """The distinct calls of a recording, in order.

    Args:
        source: the file name for errors.

    Raises:
        ConfigurationError: names the first invalid lines; if there are many, it is some other file.
    """
    calls: dict[RecordedCall, None] = {}
    garbled = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip():
                calls[_parse_line(line)] = None
        except ValueError:
            garbled.append(number)
    if garbled:
        raise ConfigurationError(
            tuple(
                Problem(
                    source, number, "", "not a recorded call; delete the line or use another file"
                )
                for number in garbled[:_MAX_PROBLEMS]
            )
        )
    return tuple(calls)


def _parse_line(line: str) -> RecordedCall:
    try:
        fields = json.loads(line)
    except RecursionError:
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    profile, endpoint, call = (fields.get(name) for name in ("profile", "endpoint", "call"))
    match = _CALL.fullmatch(call) if isinstance(call, str) else None
    if not (isinstance(profile, str) and isinstance(endpoint, str) and match):
        raise ValueError("missing or malformed fields")
    method, path = match.groups()
    parse_access_rule(f"GET {path}")
    return RecordedCall(printable(profile), printable(endpoint), path, method)


def generalise(path: str, templates: Templates | None = None) -> str | None:
    """The pattern of a path, with `*` in place of identifiers.

    Uses a matching template if there is one, otherwise the shape of each segment; doubtful
    segments stay. The first segment always stays, so no pattern is wider than its section.

    Args:
        path: as access rules see it, with the version for v2.

    Returns:
        None if the first segment contains a `*`, which no rule can express.
    """
    version, rest = split_version(path)
    if path == version:
        return path
    found = templates.pattern(rest) if templates is not None else None
    if found is not None:
        return version + found
    root, first, *others = rest.split("/")
    if "*" in first:
        return None
    pieces = [root, first, *("*" if is_identifier(piece) else piece for piece in others)]
    return version + "/".join(pieces)


def smallest_rules(calls: Iterable[RecordedCall]) -> tuple[AccessRule, ...]:
    """The rules that grant these calls, sorted by path, without redundant ones.

    Calls with methods that no rule can express are left out.
    """
    wanted = sorted({(call.path, call.method) for call in calls if call.method in METHODS})
    # Widest first: a pattern that covers another has at most as many literal characters.
    wanted.sort(key=lambda one: (len(one[0]) - one[0].count("*"), -one[0].count("*"), one))
    rules: dict[str, dict[str, AccessRule]] = {method: {} for method in METHODS}
    for path, method in wanted:
        is_covered = any(rule.matches_raw(path) for rule in rules[method].values())
        if path == _LOGOUT or not is_covered:
            rules[method][path] = AccessRule(frozenset({method}), path)
    paths = sorted({path for by_path in rules.values() for path in by_path})
    return tuple(
        AccessRule(frozenset(method for method in METHODS if path in rules[method]), path)
        for path in paths
    )
