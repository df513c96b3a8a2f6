"""`ovh-proxy exec`: runs a command with a private proxy."""

import asyncio
import hashlib
import os
import secrets
from dataclasses import replace
from typing import Any

import click

from ovh_proxy.cli.client_environment import (
    FORMATS,
    ProxyAccess,
    endpoint_name,
    made_up_keys_option,
    without_keys,
)
from ovh_proxy.cli.imports import loading, require_c_parser
from ovh_proxy.cli.options import Choice, option, store_options
from ovh_proxy.config.loader import load
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.errors import ConfigurationError, UsageError
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress


def _parsed(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[AccessRule, ...]:
    try:
        return tuple(rule for text in value for rule in parse_access_rule(text))
    except ValueError as failure:
        raise click.BadParameter(str(failure), ctx, param) from failure


@click.command("exec", context_settings={"allow_interspersed_args": False})
@store_options
# Without a variable: click splits one at spaces, and there is a space within a rule.
@click.option(
    "--rule",
    help="A call that CMD may make: 'GET /me', 'read-only /ip'; repeated; all without.",
    multiple=True,
    metavar="'METHOD /path'",
    callback=_parsed,
)
@made_up_keys_option("exec")
@option("--only-env", "Run nothing; print what `ovh-proxy env` prints.", "exec", is_flag=True)
@option(
    "--format",
    "With --only-env: for which shell or file, as `ovh-proxy env` has it.",
    "exec",
    type=Choice(list(FORMATS)),
)
@click.argument("arguments", metavar="-- CMD [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    rule: tuple[AccessRule, ...],
    made_up_keys: bool,
    only_env: bool,
    format: str | None,
    **flags: Any,
) -> int:
    """Run CMD with a private proxy, which ends with it.

    CMD finds OVH_ENDPOINT, OVH_ACCESS_TOKEN and OVH_PROXY_URL in its environment, and none of your
    keys. What it asks of OVHcloud's own hosts goes the same way: HTTPS_PROXY leads to the private
    proxy, and SSL_CERT_FILE and its like to the certificate that it shows; all else passes
    untouched. With --profile it may use that profile alone, with --rule only those calls. A CMD of
    the same user that goes looking can still read the store: another user or a container is the
    wall.

    Exits as CMD does; with 128 and its number on a signal, with 127 when there is no CMD.
    """
    if only_env:
        printed = flags if format is None else {**flags, "format": format}
        return _only_env(ctx, made_up_keys, printed, bool(arguments or rule))
    if not arguments:
        raise click.MissingParameter(ctx=ctx, param=command.params[-1])
    require_c_parser()
    from ovh_proxy.server.process import deny_debuggers

    deny_debuggers()
    loaded = load(Sources(**flags))
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    token = secrets.token_urlsafe(32)
    profiles = (flags["profile"],) if flags["profile"] else ()
    client = Client("exec", hashlib.sha256(token.encode()).digest(), profiles, rule or None)
    settings = private(loaded.settings, client)
    endpoint = endpoint_name(settings.store, flags["profile"]) if made_up_keys else None
    # Imported here, so that a wrong flag is told before the server's imports are paid.
    with loading():
        from ovh_proxy.cli.exec_proxy import ExecTask, run_with_proxy

    environ = without_keys(os.environ, loaded.variables)
    access = ProxyAccess("", token, endpoint, has_keys=made_up_keys)
    task = ExecTask(arguments, environ, access, is_logged=bool(flags["log_level"]))
    return asyncio.run(run_with_proxy(settings, task))


def private(settings: Settings, client: Client) -> Settings:
    """The settings of a proxy for one client, on a free port that only this machine reaches."""
    return replace(
        settings,
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
        admin_listen=None,
        hosts=frozenset(),
        origins=frozenset(),
        clients=(client,),
        allow_open=False,
        intercept=True,
        # For pip, git and ACME, which go their ways as before.
        intercept_others="tunnel",
    )


def _only_env(ctx: click.Context, made_up_keys: bool, flags: dict[str, Any], has_cmd: bool) -> int:
    if has_cmd:
        raise UsageError("--only-env runs nothing: leave CMD and --rule out")
    from ovh_proxy.cli import env

    # With the variables of its own flags, which `ctx.invoke` would not look at.
    with env.command.make_context("env", [], parent=ctx.parent) as inner:
        inner.params |= flags
        inner.params["made_up_keys"] |= made_up_keys
        env.command.invoke(inner)
    return 0
