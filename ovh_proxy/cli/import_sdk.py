"""`ovh-proxy import`: brings the SDKs' configuration into the store."""

from collections.abc import Iterator
from typing import Any

import click

from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.terminal import MASK, confirm, safe
from ovh_proxy.config.profile_fields import CREDENTIAL_NAMES
from ovh_proxy.config.sdk_config import (
    ENVIRONMENT,
    VARIABLES,
    Entry,
    SdkConfiguration,
    SdkProfile,
    default_name,
    quoted_entries,
    read_conf_file,
    read_sdk_configuration,
    sdk_profiles_of,
    sdk_store,
)
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError, UsageError
from ovh_proxy.core.redaction import unknown
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.reader import UnresolvedStore, open_unresolved_store
from ovh_proxy.credential_store.writer import StoreWriter, Value


@click.command("import")
@option("--from", "Read only this file, whatever its name.", "import", metavar="FILE")
@option(
    "--keep-env",
    "Store references to OVH_* variables ({env: …}), not their values.",
    "import",
    is_flag=True,
)
@option("--force", "Overwrite profiles of the same name.", "import", is_flag=True)
@option("--yes", "Do not ask for confirmation.", "import", is_flag=True)
@store_options
def command(keep_env: bool, force: bool, yes: bool, **flags: Any) -> int:
    """Import keys from the configuration of the official SDKs into the credential store.

    Reads OVH_*, ./ovh.conf, ~/.ovh.conf and /etc/ovh.conf as the SDKs do. Creates a profile for
    each section of an endpoint and each [profile:NAME]; with --profile, only that one. Shows the
    changes with secrets masked, and asks for confirmation. Does not change the files of the SDKs.
    """
    file = flags.pop("from")
    sources = Sources(**flags)
    configuration = read_sdk_configuration(sources) if file is None else read_conf_file(file)
    sdk_profiles = _chosen(configuration, sources.profile)
    unresolved = open_unresolved_store(sources)
    _reject_existing(sdk_profiles, unresolved, force)
    profiles = {sdk_profile.name: _fields(sdk_profile, keep_env) for sdk_profile in sdk_profiles}
    click.echo("\n".join(_summary(sdk_profiles, profiles, unresolved)))
    for warning in quoted_entries(sdk_profiles):
        click.secho(safe(warning), fg="yellow")
    if not confirm("Write these changes?", yes):
        click.echo("Nothing was written.")
        return 0
    StoreWriter(unresolved.path, sources).put_profiles(profiles, replaces=force)
    click.echo(f"Wrote {unresolved.path}. To check the profiles, run: ovh-proxy check")
    return 0


def _chosen(configuration: SdkConfiguration, name: str | None) -> tuple[SdkProfile, ...]:
    """The profiles to import, the default first.

    Raises:
        ConfigurationError: every problem of the profiles.
        UsageError: there are none, or none of that name.
    """
    store, problems = sdk_store(configuration)
    if problems:
        raise ConfigurationError(tuple(problems))
    if store is None:
        files = ", ".join(configuration.names)
        raise UsageError(f"no keys in {files} or OVH_*; use --from FILE to read another file")
    sdk_profiles = sdk_profiles_of(configuration)
    default = default_name(configuration, sdk_profiles)
    ordered = sorted(sdk_profiles, key=lambda sdk_profile: sdk_profile.name != default)
    chosen = tuple(sdk_profile for sdk_profile in ordered if name in (None, sdk_profile.name))
    if not chosen:
        names = [sdk_profile.name for sdk_profile in sdk_profiles]
        raise UsageError(f"--profile: {unknown('profile', name or '', names)}")
    return chosen


def _reject_existing(
    sdk_profiles: tuple[SdkProfile, ...], unresolved: UnresolvedStore, force: bool
) -> None:
    existing = [
        sdk_profile.name for sdk_profile in sdk_profiles if sdk_profile.name in unresolved.names
    ]
    if existing and not force:
        raise UsageError(
            f"{unresolved.path} already has {', '.join(existing)}; use --force to overwrite, or "
            "--profile to import another profile"
        )


def _fields(sdk_profile: SdkProfile, keep_env: bool) -> dict[str, Value]:
    fields: dict[str, Value] = {"endpoint": sdk_profile.endpoint.text}
    for name in CREDENTIAL_NAMES:
        if name in sdk_profile.keys:
            fields[name] = _value(sdk_profile.keys[name], keep_env)
    return fields


def _value(entry: Entry, keep_env: bool) -> Value:
    if keep_env and entry.source == ENVIRONMENT:
        return Reference("env", (VARIABLES[entry.key],))
    return entry.text if entry.key == "client_id" else Secret(entry.text)


def _summary(
    sdk_profiles: tuple[SdkProfile, ...],
    profiles: dict[str, dict[str, Value]],
    unresolved: UnresolvedStore,
) -> Iterator[str]:
    yield f"Changes to {unresolved.path}:"
    for sdk_profile in sdk_profiles:
        mark = " (overwritten)" if sdk_profile.name in unresolved.names else ""
        yield f"  {sdk_profile.name}{mark}:"
        entries = {"endpoint": sdk_profile.endpoint, **sdk_profile.keys}
        for field, value in profiles[sdk_profile.name].items():
            yield f"    {field}: {_shown(value)}".ljust(50) + f"  from {entries[field].source}"


def _shown(value: Value) -> str:
    match value:
        case Reference(kind, arguments):
            return f"{{{kind}: {arguments[0]}}}"
        case str():
            return safe(value)
    return MASK
