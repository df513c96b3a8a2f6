"""Durations as people write them: 30s, 10m, 2h, 7d."""

import re

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([a-z]?)")


def parse_duration(text: str) -> float:
    """Seconds; a number without a unit is seconds already.

    Raises:
        ValueError: it is none; the text says what one looks like.
    """
    match = _DURATION.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise ValueError("is no duration; say a number and its unit, such as 30s, 10m, 2h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A flag's value in seconds, as click's callbacks give it."""
    try:
        return parse_duration(value)
    except ValueError as failure:
        raise click.BadParameter(str(failure), ctx, param) from failure


def in_short(seconds: float) -> str:
    """A time that is left, for a line that changes: `9m 58s`, `42s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
