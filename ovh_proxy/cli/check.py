"""`ovh-proxy check`: tells whether every profile works."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.check_result import CheckResult, permission_warnings, with_warnings
from ovh_proxy.cli.options import duration, option, store_options
from ovh_proxy.cli.terminal import counted, relative_time, safe
from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import Profile, Settings, Store

_MAX_RULES = 6
_ONLINE = ("PROFILE", "ENDPOINT", "CLOCK", "CREDENTIAL", "EXPIRES", "VERDICT")
_OFFLINE = ("PROFILE", "ENDPOINT", "CREDENTIAL")


def table(store: Store, results: Sequence[CheckResult], is_online: bool) -> Iterator[str]:
    """One row per profile; below it its problems, warnings and rules."""
    default = store.default_profile.name if store.default_profile else "none"
    yield f"{safe(store.source)}: {counted(len(results), 'profile')}, {default} by default"
    yield ""
    now = datetime.now(UTC)
    rows = [_cells(result, now, is_online) for result in results]
    header = _ONLINE if is_online else _OFFLINE
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    yield click.style(_row(header, widths), bold=True)
    for result, cells in zip(results, rows, strict=True):
        yield _row(cells, widths, "red" if result.problem else "green" if is_online else None)
        yield from (f"  {line}" for line in _remarks(result))


def as_json(store: Store, results: Sequence[CheckResult], warnings: Sequence[str] = ()) -> str:
    """The results as JSON, without secrets."""
    return _dump(
        ok=not any(result.problem for result in results),
        source=store.source,
        default=store.default_profile and store.default_profile.name,
        profiles=[_fields(result) for result in results],
        problems=[],
        warnings=warnings,
    )


def problems_as_json(problems: Sequence[Problem]) -> str:
    """Problems of the files, as JSON with the same keys."""
    fields = ("source", "line", "path", "message")
    entries = [{name: getattr(problem, name) for name in fields} for problem in problems]
    return _dump(ok=False, source=None, default=None, profiles=[], problems=entries, warnings=[])


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


def _row(cells: Sequence[str], widths: Sequence[int], colour: str | None = None) -> str:
    """A row of the table; the last cell is coloured on a terminal."""
    *padded, last = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join((*padded, click.style(last.rstrip(), fg=colour)))


def _dump(**fields: object) -> str:
    return json.dumps(fields, indent=2, ensure_ascii=False)


@click.command("check")
@option("--offline", "Check only the files; make no requests.", "check", is_flag=True)
@option(
    "--expires-within",
    "Fail if a key expires within TIME, such as 7d; by default, warn if it expires within a week.",
    "check",
    metavar="TIME",
    callback=duration,
)
@option("--json", "Print JSON.", "check", is_flag=True)
@store_options
def command(offline: bool, expires_within: float | None, json: bool, **flags: Any) -> int:
    """Check that every profile works, and print how to fix those that do not.

    Asks each endpoint for its time and for the state of each credential; with --profile, only
    for that profile. Never prints secrets. Exits with 1 if a profile fails and with 2 if a file
    is unreadable or has problems.
    """
    try:
        settings = load_settings(Sources(**flags))
    except ConfigurationError as failure:
        if json:
            click.echo(problems_as_json(failure.problems))
        raise
    chosen = _chosen(settings, flags["profile"])
    results = tuple(map(CheckResult, chosen)) if offline else _ask(settings, chosen)
    now = datetime.now(UTC)
    results = tuple(with_warnings(result, now, expires_within) for result in results)
    store = settings.store
    # Without this flag, such a store was already rejected.
    loose = permission_warnings(store.files) if flags["allow_loose_permissions"] else ()
    warnings = (*store.warnings, *loose)
    if json:
        click.echo(as_json(store, results, warnings))
    else:
        click.echo("\n".join(table(store, results, not offline)))
        for warning in warnings:
            click.secho(safe(warning), fg="yellow")
    return 1 if any(result.problem for result in results) else 0


def _chosen(settings: Settings, name: str | None) -> tuple[Profile, ...]:
    profiles = settings.store.profiles
    return tuple(profiles.values()) if name is None else (profiles[name],)


def _ask(settings: Settings, profiles: tuple[Profile, ...]) -> tuple[CheckResult, ...]:
    # Imported here: `--offline` does not need it.
    import asyncio

    from ovh_proxy.cli.check_probe import probe_all

    return asyncio.run(probe_all(settings, profiles))
