"""Access rules: which calls a profile or a client may make, batch calls included."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import quote

from ovh_proxy.core.errors import AccessDenied
from ovh_proxy.core.redaction import printable
from ovh_proxy.core.target import decode_fully, refuse_two_readings, with_upper_escapes

_TIME_PATH = "/auth/time"


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


_PRESETS = {"read-only": "GET", "read-write": "*"}


_RULE = re.compile(r"(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Methods and a path pattern, both as OVHcloud writes them.

    Attributes:
        methods: upper case; empty stands for `*`, every method.
        pattern: a path in which `*` stands for anything, slashes included.

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
        # A rule is written with %2F as often as without, and means the same path.
        return _glob(self._raw, decoded_path) or _glob(self._decoded, decoded_path)

    def is_literal(self, method: str, path: str) -> bool:
        """Whether the rule names this one call, without any wildcard."""
        return method in self.methods and self.pattern == path


def _glob(pieces: tuple[str, ...], path: str) -> bool:
    # Pieces are found leftmost first, in one pass: `re` would backtrack for ever on /*a*a*a*.
    first, *others = pieces
    if not others:
        return path == first
    last = others.pop()
    if len(path) < len(first) + len(last) or not (path.startswith(first) and path.endswith(last)):
        return False
    at, end = len(first), len(path) - len(last)
    for piece in others:
        at = path.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def parse_access_rule(text: str) -> tuple[AccessRule, ...]:
    """The rules that one line of configuration means; a preset means two.

    Raises:
        ValueError: malformed; the text says what a rule looks like.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError("a rule is METHOD /path, such as: GET /me")
    methods, pattern = match.groups()
    if not pattern.startswith("/"):
        raise ValueError("a rule's path starts with /")
    if "?" in pattern or "#" in pattern or not pattern.isascii():
        raise ValueError("a rule's path is percent-encoded ASCII without a query")
    if methods in _PRESETS:
        bare = re.sub(r"[*/]+$", "", pattern)
        granted = _parse_methods(_PRESETS[methods])
        recursive = AccessRule(granted, f"{bare}/*")
        return (AccessRule(granted, bare), recursive) if bare else (recursive,)
    return (AccessRule(_parse_methods(methods), pattern),)


def _parse_methods(text: str) -> frozenset[str]:
    if text == "*":
        return frozenset()
    methods = text.split(",")
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(
            f"unknown method; a rule has {', '.join(METHODS)}, several with commas between, * "
            "for all, or a preset: read-only, read-write"
        )
    return frozenset(methods)


def grants(rules: Iterable[AccessRule], method: str, path: str, decoded_path: str) -> bool:
    """Whether the rules together grant both readings of the path.

    Each reading may be granted by a rule of its own.
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
    """Lets a call pass that every holder's rules grant.

    Args:
        granted: who holds the rules, for the message, and the rules; None grants all.

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
            f"{method} {printable(path)} would revoke the key for everyone; an access rule that "
            "names it lets it pass"
        )


def _is_named(
    method: str, path: str, granted: Sequence[tuple[str, tuple[AccessRule, ...] | None]]
) -> bool:
    return any(rule.is_literal(method, path) for _, rules in granted for rule in rules or ())


def _is_logout(decoded_path: str) -> bool:
    # As generous as any server may be in what it takes for this path, and whatever stands before
    # it: behind a base URL without /1.0 the version is still in the path.
    segments = [part.partition(";")[0] for part in decoded_path.lower().split("/")]
    return [segment for segment in segments if segment][-2:] == ["auth", "logout"]


# Precedent: OVHcloud's own web console asks for 50 at a time.
_MAX_READINGS = 1000
# Four times the longest target by default: what authorizing one call costs stays within this.
_MAX_READINGS_BYTES = 65_536

_PATH_CHARS = "!$&'()*+,;=:@~"


def batch_readings(path: str, separator: str) -> Iterator[tuple[str, str]]:
    """Every path that a call of several resources stands for, raw and decoded; none for one.

    OVHcloud splits the last variable of the path. Which segment that is, only its schema says, so
    each segment counts that has the separator, with or without percent-escapes; an empty
    separator may split anywhere.

    Args:
        path: as access rules are matched against it.
        separator: what `X-Ovh-Batch` says.

    Raises:
        AccessDenied: it names more resources than one call may.

    Source: OVHcloud's SDKs: `X-Ovh-Batch: ,` and ids joined by it in the last path variable.
    """
    segments = [_elements(segment, separator) for segment in path.split("/")]
    count = 1
    for elements in segments:
        count *= len(elements)
        if count > _MAX_READINGS:
            raise AccessDenied(f"one batch call names more than {_MAX_READINGS} resources")
    if count == 1:
        return
    # Every segment is part of each reading, an element in its share of them.
    size = sum(count * sum(len(raw) for raw, _ in one) // len(one) for one in segments)
    if size > _MAX_READINGS_BYTES:
        raise AccessDenied(
            f"the paths of one batch call have more than {_MAX_READINGS_BYTES} bytes together"
        )
    for parts in product(*segments):
        yield "/".join([raw for raw, _ in parts]), "/".join([text for _, text in parts])


def _elements(segment: str, separator: str) -> list[tuple[str, str]]:
    """The elements of one segment, raw and decoded; the segment itself if there is only one."""
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
    separator: bytes | None,
    granted: Iterable[tuple[str, tuple[AccessRule, ...] | None]],
) -> None:
    """Lets a batch call pass when each resource that it names is granted by itself.

    Args:
        separator: the value of `X-Ovh-Batch`, if the request has it.

    Raises:
        AccessDenied: a resource is not granted, or there are too many.
        BadTarget: an element makes a path of two readings.
    """
    holders = [(holder, rules) for holder, rules in granted if rules is not None]
    # A POST is looked at in any case: it might hide the logout, which only a rule lets pass.
    if separator is None or not (holders or method == "POST"):
        return
    for reading, decoded in batch_readings(path, separator.decode("latin-1")):
        if holders:
            refuse_two_readings(decoded)
        authorize(method, reading, decoded, holders)
