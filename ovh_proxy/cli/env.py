"""`ovh-proxy env`: prints the variables that point a shell at a running proxy."""

import os
from collections.abc import Mapping
from typing import Any

import click

from ovh_proxy.cli.client_environment import ProxyAccess, variables
from ovh_proxy.cli.env_formats import FORMATS
from ovh_proxy.cli.made_up_keys import endpoint_name, made_up_keys_option
from ovh_proxy.cli.options import listen_options, option, store_options
from ovh_proxy.cli.real_keys import is_key
from ovh_proxy.cli.running_proxy import url_option
from ovh_proxy.cli.running_way import RunningProxy, check, find_running, read_token
from ovh_proxy.cli.terminal import complain
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS


@click.command("env")
@option(
    "--format",
    "For which shell or file; dotenv is for .env files.",
    "env",
    type=click.Choice(list(FORMATS)),
    default="shell",
    show_default=True,
)
@option(
    "--token-file",
    "Where the client token is, - for standard input; else OVH_PROXY_TOKEN is the token.",
    "env",
    metavar="FILE",
)
@made_up_keys_option("env")
@option("--keep-keys", "Leave keys of OVHcloud's that the shell has.", "env", is_flag=True)
@store_options
@listen_options
@url_option
def command(
    format: str,
    token_file: str | None,
    made_up_keys: bool,
    keep_keys: bool,
    url: str | None,
    **flags: Any,
) -> None:
    """Print the variables that point a shell at a running proxy: eval "$(ovh-proxy env)".

    They are those that `ovh-proxy exec` sets for its command, and keys that the shell has are taken
    out. The proxy is asked whether it takes the client token. HTTPS_PROXY and the variables that
    name its certificate are there with `intercept: true` in the settings.
    """
    sources = Sources(**flags)
    running = find_running(url, sources)
    token = read_token(token_file, os.environ)
    check(running, token)
    endpoint = _endpoint(sources, flags["profile"]) if made_up_keys else None
    access = ProxyAccess(running.url, token, endpoint, made_up_keys, intercepts=running.intercepts)
    told = variables(access, os.environ, DEFAULT_CONSTRAINTS.names)
    if running.shows_ours:
        told |= _trust(sources, os.environ)
    dropped = () if keep_keys else tuple(name for name in os.environ if is_key(name))
    click.echo(FORMATS[format](told, tuple(name for name in dropped if name not in told)))
    _warn(running)


def _endpoint(sources: Sources, profile: str | None) -> str | None:
    # Imported here: nothing else needs the store.
    from ovh_proxy.config.loader import load

    loaded = load(sources)
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    return endpoint_name(loaded.settings.store, profile)


def _trust(sources: Sources, environ: Mapping[str, str]) -> dict[str, str]:
    # Imported here, as in `ca`: few proxies have an authority.
    from ovh_proxy.cli.kept_trust import write_stored_trust

    return write_stored_trust(sources, environ)


def _warn(running: RunningProxy) -> None:
    if running.refuses_others:
        complain(
            "with these, https:// leads to OVHcloud's hosts alone; "
            "for others set intercept_others: tunnel"
        )
