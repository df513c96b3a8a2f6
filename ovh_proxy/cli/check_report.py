"""What a check found, for a person and for a program."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.check_result import CheckResult
from ovh_proxy.cli.terminal import _counted, relative_time, safe
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import Store

_MAX_RULES = 6

_ONLINE = ("PROFILE", "ENDPOINT", "CLOCK", "CREDENTIAL", "EXPIRES", "VERDICT")

_OFFLINE = ("PROFILE", "ENDPOINT", "CREDENTIAL")


def table(store: Store, results: Sequence[CheckResult], is_online: bool) -> Iterator[str]:
    """A line for each profile, and under it what is wrong and what it may call."""
    yield f"{safe(store.source)}: {_counted(len(results), 'profile')}{_default_of(store)}"
    yield ""
    now = datetime.now(UTC)
    rows = [_cells(result, now, is_online) for result in results]
    heads = _ONLINE if is_online else _OFFLINE
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    yield click.style(_row(heads, widths), bold=True)
    for result, cells in zip(results, rows, strict=True):
        yield _row(cells, widths, "red" if result.problem else "green" if is_online else None)
        yield from (f"  {line}" for line in _remarks(result))


def as_json(store: Store, results: Sequence[CheckResult], warnings: Sequence[str] = ()) -> str:
    """All that was found, without any secret."""
    return _dump(
        ok=not any(result.problem for result in results),
        source=store.source,
        default=store.default_profile and store.default_profile.name,
        profiles=[_fields(result) for result in results],
        problems=[],
        warnings=warnings,
    )


def problems_as_json(problems: Sequence[Problem]) -> str:
    """What is wrong with the files, in the same form."""
    fields = ("source", "line", "path", "message")
    told = [{name: getattr(problem, name) for name in fields} for problem in problems]
    return _dump(ok=False, source=None, default=None, profiles=[], problems=told, warnings=[])


def _cells(result: CheckResult, now: datetime, is_online: bool) -> tuple[str, ...]:
    profile, kind = result.profile, kind_of(result.profile.credential)
    endpoint = urlsplit(profile.endpoint.name).netloc or profile.endpoint.name
    if not is_online:
        return profile.name, endpoint, kind
    delta, expires = result.clock_delta, result.expires
    return (
        profile.name,
        endpoint,
        "-" if delta is None else f"{delta:+.0f} s".replace("-0 s", "+0 s"),
        f"{kind}, {safe(result.state)}",
        relative_time(expires, now) if isinstance(expires, datetime) else expires or "-",
        "FAILS" if result.problem else "ok",
    )


def _remarks(result: CheckResult) -> Iterator[str]:
    if result.problem:
        yield click.style(f"{safe(result.problem)}", fg="red")
        yield f"-> {safe(result.remedy or '')}"
    for warning in result.warnings:
        yield click.style(safe(warning), fg="yellow")
    if result.key_rules is not None:
        yield f"the key grants: {_shortened(result.key_rules)}"
    rules = result.profile.access_rules
    if rules is not None:
        yield f"the store grants: {_shortened(_texts(rules))}"


def _fields(result: CheckResult) -> dict[str, object]:
    profile, expires = result.profile, result.expires
    rules = profile.access_rules
    return {
        "profile": profile.name,
        "endpoint": profile.endpoint.name,
        "base_url": profile.endpoint.base_url,
        "credential": kind_of(profile.credential),
        "state": result.state,
        "ok": result.problem is None,
        "reachable": result.is_reachable,
        "clock_delta_seconds": result.clock_delta and round(result.clock_delta, 1),
        "expires": expires.isoformat() if isinstance(expires, datetime) else expires,
        "key_rules": result.key_rules,
        "access_rules": None if rules is None else _texts(rules),
        "problem": result.problem,
        "remedy": result.remedy,
        "warnings": result.warnings,
    }


def _texts(rules: tuple[AccessRule, ...]) -> tuple[str, ...]:
    return tuple(map(str, rules))


def _shortened(rules: tuple[str, ...]) -> str:
    more = len(rules) - _MAX_RULES
    shown = safe("; ".join(rules[:_MAX_RULES])) or "nothing"
    return f"{shown}; and {more} more" if more > 0 else shown


def _default_of(store: Store) -> str:
    default = store.default_profile
    return f", {default.name} by default" if default else ", none by default"


def _row(cells: Sequence[str], widths: Sequence[int], colour: str | None = None) -> str:
    """The cells side by side; the last one, the verdict, in colour on a terminal."""
    *padded, last = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join((*padded, click.style(last.rstrip(), fg=colour)))


def _dump(**fields: object) -> str:
    return json.dumps(fields, indent=2, ensure_ascii=False)
