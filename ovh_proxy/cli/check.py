"""`ovh-proxy check`: tells whether every profile works."""

import asyncio
from typing import Any

import click

from ovh_proxy.cli.check_report import as_json, problems_as_json, table
from ovh_proxy.cli.finding import Finding
from ovh_proxy.cli.options import option, store_options
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.profile import Profile
from ovh_proxy.core.settings import Settings
from ovh_proxy.store.live import Sources, load_settings


@click.command("check")
@option("--offline", "Look at the files alone, and ask nobody.", "check", is_flag=True)
@option("--json", "Print JSON, for programs.", "check", is_flag=True)
@store_options
def command(offline: bool, json: bool, **flags: Any) -> int:
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
    findings = tuple(map(Finding, chosen)) if offline else _ask(settings, chosen)
    store = settings.store
    click.echo(as_json(store, findings) if json else "\n".join(table(store, findings, not offline)))
    return 1 if any(finding.problem for finding in findings) else 0


def _chosen(settings: Settings, name: str | None) -> tuple[Profile, ...]:
    profiles = settings.store.profiles
    return tuple(profiles.values()) if name is None else (profiles[name],)


def _ask(settings: Settings, profiles: tuple[Profile, ...]) -> tuple[Finding, ...]:
    # Imported here: `--offline` needs none of it.
    from ovh_proxy.cli.probe import probe_all

    return asyncio.run(probe_all(settings, profiles))
