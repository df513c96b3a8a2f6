"""What a check found, for a person and for a program."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.finding import CheckResult
from ovh_proxy.cli.output import _counted, relative_time, safe
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import Store

_MAX_RULES = 6

_ONLINE = ("PROFILE", "ENDPOINT", "CLOCK", "CREDENTIAL", "EXPIRES", "VERDICT")

_OFFLINE = ("PROFILE", "ENDPOINT", "CREDENTIAL")


def table(store: Store, findings: Sequence[CheckResult], is_online: bool) -> Iterator[str]:
    """A line for each profile, and under it what is wrong and what it may call."""
    yield f"{safe(store.source)}: {_counted(len(findings), 'profile')}{_default_of(store)}"
    yield ""
    now = datetime.now(UTC)
    rows = [_cells(finding, now, is_online) for finding in findings]
    heads = _ONLINE if is_online else _OFFLINE
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    yield click.style(_row(heads, widths), bold=True)
    for finding, cells in zip(findings, rows, strict=True):
        yield _row(cells, widths, "red" if finding.problem else "green" if is_online else None)
        yield from (f"  {line}" for line in _remarks(finding))


def as_json(store: Store, findings: Sequence[CheckResult], warnings: Sequence[str] = ()) -> str:
    """All that was found, without any secret."""
    return _dump(
        ok=not any(finding.problem for finding in findings),
        source=store.source,
        default=store.default_profile and store.default_profile.name,
        profiles=[_fields(finding) for finding in findings],
        problems=[],
        warnings=warnings,
    )


def problems_as_json(problems: Sequence[Problem]) -> str:
    """What is wrong with the files, in the same form."""
    fields = ("source", "line", "path", "message")
    told = [{name: getattr(problem, name) for name in fields} for problem in problems]
    return _dump(ok=False, source=None, default=None, profiles=[], problems=told, warnings=[])


def _cells(finding: CheckResult, now: datetime, is_online: bool) -> tuple[str, ...]:
    profile, kind = finding.profile, kind_of(finding.profile.credential)
    endpoint = urlsplit(profile.endpoint.name).netloc or profile.endpoint.name
    if not is_online:
        return profile.name, endpoint, kind
    delta, expires = finding.clock_delta, finding.expires
    return (
        profile.name,
        endpoint,
        "-" if delta is None else f"{delta:+.0f} s".replace("-0 s", "+0 s"),
        f"{kind}, {safe(finding.state)}",
        relative_time(expires, now) if isinstance(expires, datetime) else expires or "-",
        "FAILS" if finding.problem else "ok",
    )


def _remarks(finding: CheckResult) -> Iterator[str]:
    if finding.problem:
        yield click.style(f"{safe(finding.problem)}", fg="red")
        yield f"-> {safe(finding.remedy or '')}"
    for warning in finding.warnings:
        yield click.style(safe(warning), fg="yellow")
    if finding.key_rules is not None:
        yield f"the key grants: {_shortened(finding.key_rules)}"
    rules = finding.profile.access_rules
    if rules is not None:
        yield f"the store grants: {_shortened(_texts(rules))}"


def _fields(finding: CheckResult) -> dict[str, object]:
    profile, expires = finding.profile, finding.expires
    rules = profile.access_rules
    return {
        "profile": profile.name,
        "endpoint": profile.endpoint.name,
        "base_url": profile.endpoint.base_url,
        "credential": kind_of(profile.credential),
        "state": finding.state,
        "ok": finding.problem is None,
        "reachable": finding.is_reachable,
        "clock_delta_seconds": finding.clock_delta and round(finding.clock_delta, 1),
        "expires": expires.isoformat() if isinstance(expires, datetime) else expires,
        "key_rules": finding.key_rules,
        "access_rules": None if rules is None else _texts(rules),
        "problem": finding.problem,
        "remedy": finding.remedy,
        "warnings": finding.warnings,
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
