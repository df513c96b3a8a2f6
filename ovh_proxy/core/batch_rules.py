"""Batch calls: every resource that one path names has to be granted."""

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from urllib.parse import quote

from ovh_proxy.core.access_rules import AccessRule, authorize
from ovh_proxy.core.errors import AccessDenied
from ovh_proxy.core.target import decode_fully, parse_target

# Precedent: OVHcloud's own web console asks for 50 at a time.
_MAX_READINGS = 1000
_PATH_CHARS = "!$&'()*+,;=:@~"


def batch_readings(path: str, separator: str) -> tuple[str, ...]:
    """Every path that a call of several resources stands for; none for a call of one.

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
    count = prod(map(len, segments))
    if count > _MAX_READINGS:
        raise AccessDenied(f"one batch call names more than {_MAX_READINGS} resources")
    return tuple(map("/".join, product(*segments))) if count > 1 else ()


def _elements(segment: str, separator: str) -> list[str]:
    text = decode_fully(segment)
    elements = text.split(separator) if separator else list(text)
    if len(elements) < 2:
        return [segment]
    if text == segment:
        return elements
    return [quote(element, safe=_PATH_CHARS, encoding="latin-1") for element in elements]


def authorize_batch(
    method: str,
    path: str,
    separators: Sequence[bytes],
    granted: Iterable[tuple[str, tuple[AccessRule, ...] | None]],
) -> None:
    """Lets a batch call pass when each resource that it names is granted by itself.

    Args:
        separators: the values of `X-Ovh-Batch`. Which of several OVHcloud goes by is not known:
            the readings of each have to be granted, and of all joined as HTTP joins them.

    Raises:
        AccessDenied: a resource is not granted, or there are too many.
        BadTarget: an element makes a path of two readings.
    """
    holders = [(holder, rules) for holder, rules in granted if rules is not None]
    # A POST is looked at in any case: it might hide the logout, which only a rule lets pass.
    if not separators or not (holders or method == "POST"):
        return
    words = [separator.decode("latin-1") for separator in separators]
    for separator in dict.fromkeys((*words, ", ".join(words), ",".join(words))):
        for reading in batch_readings(path, separator):
            if holders:
                parse_target(reading.encode("ascii"))
            authorize(method, reading, decode_fully(reading), holders)
