"""`ovh-proxy check`: tells whether every profile works."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import click

from ovh_proxy.cli.check_result import CheckResult, open_files, with_warnings
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
    """A line for each profile, and under it what is wrong and what it may call."""
    yield f"{safe(store.source)}: {counted(len(results), 'profile')}{_default_of(store)}"
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


def _optional_duration(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> float | None:
    return None if value is None else duration(ctx, param, value)


@click.command("check")
@option("--offline", "Look at the files alone, and ask nobody.", "check", is_flag=True)
@option(
    "--expires-within",
    "Let a key that ends so soon, such as 7d, fail; without, one of a week is a warning.",
    "check",
    metavar="TIME",
    callback=_optional_duration,
)
@option("--json", "Print JSON, for programs.", "check", is_flag=True)
@store_options
def command(offline: bool, expires_within: float | None, json: bool, **flags: Any) -> int:
    """Tell whether every profile works, and what to do where one does not.

    Asks each endpoint for its time and each credential for its state; with --profile, of that
    profile alone. Prints no secret. Exits with 1 when a profile fails, with 2 when a file cannot
    be read or has problems.
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
    # Where that is not allowed, the store was refused already.
    warnings = tuple(open_files(store.files)) if flags["allow_loose_permissions"] else ()
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
    # Imported here: `--offline` needs none of it.
    import asyncio

    from ovh_proxy.cli.check_probe import probe_all

    return asyncio.run(probe_all(settings, profiles))
