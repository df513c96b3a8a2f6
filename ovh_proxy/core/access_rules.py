"""Access rules: which calls a profile or a client may make, batch calls included."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import quote

from ovh_proxy.core.errors import AccessDenied
from ovh_proxy.core.redaction import alternatives, printable, quoted
from ovh_proxy.core.target import decode_fully, reject_ambiguous, version_of, with_upper_escapes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PRESETS = {"read-only": "GET", "read-write": "*"}
_TIME_PATH = "/auth/time"
_RULE = re.compile(r"(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Methods and a path pattern, both as OVHcloud writes them.

    Attributes:
        methods: upper case; empty stands for `*`, every method.
        pattern: a path in which `*` matches any text, including slashes.

    Source: go-ovh's README: "just like glob on a Unix machine"; `/*` is every call.
    """

    methods: frozenset[str]
    pattern: str
    _raw: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _decoded: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        raw = tuple(with_upper_escapes(self.pattern).split("*"))
        object.__setattr__(self, "_raw", raw)
        object.__setattr__(self, "_decoded", tuple(decode_fully(piece) for piece in raw))

    def __str__(self) -> str:
        shown = ",".join(m for m in METHODS if m in self.methods) if self.methods else "*"
        return f"{shown} {self.pattern}"

    def covers(self, method: str) -> bool:
        # HEAD reads what GET reads.
        return not self.methods or ("GET" if method == "HEAD" else method) in self.methods

    def matches_raw(self, path: str) -> bool:
        return _glob(self._raw, path)

    def matches_decoded(self, decoded_path: str) -> bool:
        # Users write rules with and without %2F and mean the same path.
        return _glob(self._raw, decoded_path) or _glob(self._decoded, decoded_path)

    def is_literal(self, method: str, path: str) -> bool:
        """Whether the rule names exactly this call, without a wildcard."""
        return method in self.methods and self.pattern == path


def _glob(pieces: tuple[str, ...], path: str) -> bool:
    # Finds each piece leftmost first, in one pass: `re` would backtrack forever on /*a*a*a*.
    first, *others = pieces
    if not others:
        return path == first
    last = others.pop()
    if len(path) < len(first) + len(last) or not (path.startswith(first) and path.endswith(last)):
        return False
    start, end = len(first), len(path) - len(last)
    for piece in others:
        start = path.find(piece, start, end)
        if start < 0:
            return False
        start += len(piece)
    return True


def parse_access_rule(text: str) -> tuple[AccessRule, ...]:
    """Parses one line of `access_rules`; a preset means two rules.

    Raises:
        ValueError: malformed; the text says how to write a rule.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f"malformed rule {quoted(text)}; write METHOD /path, such as GET /me")
    methods, pattern = match.groups()
    if not pattern.startswith("/"):
        raise ValueError(f"rule {quoted(text)}: the path must start with /")
    if "?" in pattern or "#" in pattern or not pattern.isascii():
        raise ValueError(
            f"rule {quoted(text)}: the path must be percent-encoded ASCII without a query"
        )
    if methods in _PRESETS:
        bare = re.sub(r"[*/]+$", "", pattern)
        granted = _parse_methods(_PRESETS[methods])
        recursive = AccessRule(granted, f"{bare}/*")
        return (AccessRule(granted, bare), recursive) if bare else (recursive,)
    return (AccessRule(_parse_methods(methods), pattern),)


def reject_version(path: str) -> None:
    """Rejects a rule path that starts with `/1.0` or `/v1`: rules are matched without those.

    Raises:
        ValueError: the text says what to remove.
    """
    version = version_of(path.partition("*")[0])
    if version in ("/1.0", "/v1"):
        raise ValueError(f"rule path {quoted(path)} never matches; leave out {version}")


def _parse_methods(text: str) -> frozenset[str]:
    if text == "*":
        return frozenset()
    methods = text.split(",")
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(
            f"unknown method {quoted(unknown[0])}; use {alternatives(METHODS)}, several separated "
            f"by commas, * for all, or a preset: {alternatives(_PRESETS)}"
        )
    return frozenset(methods)


def grants(rules: Iterable[AccessRule], method: str, path: str, decoded_path: str) -> bool:
    """Whether the rules together grant the path both as written and decoded.

    Different rules may grant the two.
    """
    is_raw_granted = is_decoded_granted = False
    path = with_upper_escapes(path)
    for rule in rules:
        if rule.covers(method):
            is_raw_granted = is_raw_granted or rule.matches_raw(path)
            is_decoded_granted = is_decoded_granted or rule.matches_decoded(decoded_path)
            if is_raw_granted and is_decoded_granted:
                return True
    return False


def authorize(
    method: str,
    path: str,
    decoded_path: str,
    granted: Sequence[tuple[str, tuple[AccessRule, ...] | None]],
) -> None:
    """Rejects a call unless the rules of every holder grant it.

    Args:
        granted: the holder of the rules, for the message, and the rules; None grants all calls.

    Raises:
        AccessDenied: the text names the holder, the method and the path.
    """
    if (method, path) == ("GET", _TIME_PATH):
        return
    path = with_upper_escapes(path)
    for holder, rules in granted:
        if rules is not None and not grants(rules, method, path, decoded_path):
            raise AccessDenied(f"no access rule of {holder} grants {method} {printable(path)}")
    if method == "POST" and _is_logout(decoded_path) and not _is_named(method, path, granted):
        raise AccessDenied(
            f"{method} {printable(path)} would revoke the key for everyone; to allow it, add an "
            "access rule for exactly this call"
        )


def _is_named(
    method: str, path: str, granted: Sequence[tuple[str, tuple[AccessRule, ...] | None]]
) -> bool:
    return any(rule.is_literal(method, path) for _, rules in granted for rule in rules or ())


def _is_logout(decoded_path: str) -> bool:
    # As tolerant as any server may be about this path, and with any prefix: at a base URL without
    # /1.0, the version is still part of the path.
    segments = [part.partition(";")[0] for part in decoded_path.lower().split("/")]
    return [segment for segment in segments if segment][-2:] == ["auth", "logout"]


# Precedent: OVHcloud's own web console asks for 50 at a time.
_MAX_BATCH_PATHS = 1000
# Four times the longest target by default: it bounds the cost of authorizing one call.
_MAX_BATCH_BYTES = 65_536
_PATH_CHARS = "!$&'()*+,;=:@~"


def batch_paths(path: str, separator: str) -> Iterator[tuple[str, str]]:
    """The path of each resource in a batch call, raw and decoded; none for a call of one resource.

    OVHcloud splits the last variable of the path. Only its schema says which segment that is, so
    this splits every segment that contains the separator, with or without percent-escapes. An
    empty separator may split anywhere.

    Args:
        path: as access rules are matched against it.
        separator: the value of `X-Ovh-Batch`.

    Raises:
        AccessDenied: more resources than one call may name.

    Source: OVHcloud's SDKs: `X-Ovh-Batch: ,` and ids joined by it in the last path variable.
    """
    segments = [_elements(segment, separator) for segment in path.split("/")]
    count = 1
    for elements in segments:
        count *= len(elements)
        if count > _MAX_BATCH_PATHS:
            raise AccessDenied(f"a batch call may name at most {_MAX_BATCH_PATHS} resources")
    if count == 1:
        return
    # Each path has all segments, and an element is in its share of the paths.
    size = sum(count * sum(len(raw) for raw, _ in one) // len(one) for one in segments)
    if size > _MAX_BATCH_BYTES:
        raise AccessDenied(
            f"the paths of a batch call may have at most {_MAX_BATCH_BYTES} bytes in total"
        )
    for parts in product(*segments):
        yield "/".join([raw for raw, _ in parts]), "/".join([text for _, text in parts])


def _elements(segment: str, separator: str) -> list[tuple[str, str]]:
    """The elements of one segment, raw and decoded; the segment itself if it is not split."""
    text = decode_fully(segment)
    elements = text.split(separator) if separator else list(text)
    if len(elements) < 2:
        return [(segment, text)]
    if text == segment:
        return [(element, element) for element in elements]
    return [(quote(element, safe=_PATH_CHARS, encoding="latin-1"), element) for element in elements]


def authorize_batch(
    method: str,
    path: str,
    separator: bytes,
    granted: Iterable[tuple[str, tuple[AccessRule, ...] | None]],
) -> None:
    """Rejects a batch call unless each resource in it is granted.

    Args:
        separator: the value of `X-Ovh-Batch`.

    Raises:
        AccessDenied: a resource is not granted, or there are too many.
        BadTarget: the path of an element is ambiguous.
    """
    holders = [(holder, rules) for holder, rules in granted if rules is not None]
    # A POST is always checked: it may contain the logout, which always needs a rule.
    if not holders and method != "POST":
        return
    for each, decoded in batch_paths(path, separator.decode("latin-1")):
        if holders:
            reject_ambiguous(decoded)
        authorize(method, each, decoded, holders)
