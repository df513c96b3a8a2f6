"""`ovh-proxy exec`: runs a command with a private proxy."""

import asyncio
import hashlib
import os
import secrets
import signal
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
from ovh_proxy.cli.terminal import complain
from ovh_proxy.config.loader import load
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.errors import ConfigurationError, UsageError
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress


def _parse_rules(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[AccessRule, ...]:
    try:
        return tuple(rule for text in value for rule in parse_access_rule(text))
    except ValueError as failure:
        raise click.BadParameter(str(failure), ctx, param) from failure


@click.command("exec", context_settings={"allow_interspersed_args": False})
@store_options
# Without a variable: click splits its value at spaces, and a rule contains a space.
@click.option(
    "--rule",
    help="Only allow this call, such as 'GET /me' or 'read-only /ip' (repeatable).",
    multiple=True,
    metavar="'METHOD /path'",
    callback=_parse_rules,
)
@made_up_keys_option("exec")
@option("--only-env", "Print what `ovh-proxy env` prints; run nothing.", "exec", is_flag=True)
@option(
    "--format",
    "With --only-env: the format, as in `ovh-proxy env`.",
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
    """Run CMD with a private proxy that stops when CMD exits.

    CMD gets OVH_ENDPOINT, OVH_ACCESS_TOKEN and OVH_PROXY_URL in its environment, and none of your
    keys. Requests to OVHcloud's own hosts also use the private proxy: HTTPS_PROXY points to it, and
    SSL_CERT_FILE and similar variables point to its certificate. Connections to other hosts are
    passed through unchanged. With --profile, CMD can only use that profile; with --rule, it can
    only make those calls. CMD runs as you, so it can still read the store: to prevent that, use
    another user or a container.

    Exits with the exit code of CMD, or with 127 if CMD was not found. If a signal killed CMD, the
    same signal ends exec, which a shell shows as 128 plus its number.
    """
    if only_env:
        if arguments or rule:
            raise UsageError("--only-env runs nothing; leave out CMD and --rule")
        return _print_env(ctx, made_up_keys, flags | ({"format": format} if format else {}))
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
    settings = _private_settings(loaded.settings, client)
    endpoint = endpoint_name(settings.store, flags["profile"]) if made_up_keys else None
    # Imported here: a wrong flag is reported before the server is imported.
    with loading():
        from ovh_proxy.cli.exec_proxy import ExecTask, exit_as, run_with_proxy

    environ = without_keys(os.environ, loaded.variables)
    access = ProxyAccess("", token, endpoint, has_keys=made_up_keys)
    task = ExecTask(arguments, environ, access, is_logged=bool(flags["log_level"]))
    try:
        return exit_as(asyncio.run(run_with_proxy(settings, task)))
    except KeyboardInterrupt:  # before CMD ran
        complain("interrupted")
        return exit_as(-signal.SIGINT)


def _private_settings(settings: Settings, client: Client) -> Settings:
    """The settings of a proxy for one client, on a free loopback port."""
    return replace(
        settings,
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
        admin_listen=None,
        hosts=frozenset(),
        origins=frozenset(),
        clients=(client,),
        allow_open=False,
        intercept=True,
        # So that pip, git and ACME clients still reach their hosts.
        intercept_others="tunnel",
    )


def _print_env(ctx: click.Context, made_up_keys: bool, flags: dict[str, Any]) -> int:
    from ovh_proxy.cli import env

    # A new context reads the environment variables of env's flags; `ctx.invoke` would not.
    with env.command.make_context("env", [], parent=ctx.parent) as env_context:
        env_context.params |= flags
        env_context.params["made_up_keys"] |= made_up_keys
        env.command.invoke(env_context)
    return 0
