"""`ovh-proxy check`: tells whether every profile works."""

from datetime import UTC, datetime
from typing import Any

import click

from ovh_proxy.cli.check_report import as_json, problems_as_json, table
from ovh_proxy.cli.check_result import CheckResult
from ovh_proxy.cli.check_warnings import open_files, with_warnings
from ovh_proxy.cli.duration import duration
from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.terminal import safe
from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.settings import Profile, Settings


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
