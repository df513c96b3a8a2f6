"""`ovh-proxy exec`: runs a command with a private proxy."""

import asyncio
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import click

from ovh_proxy.cli.aiohttp_import import require_c_parser
from ovh_proxy.cli.options import store_options
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress
from ovh_proxy.store.live import Sources, load

# What the SDKs read: whose it was before must not win over what we say.
_KEYS = ("OVH_APPLICATION_", "OVH_CONSUMER_", "OVH_CLIENT_", "OVH_ACCESS_", "OVH_PROXY_")
_OTHERS = frozenset({"OVH_ENDPOINT", "OVH_PROFILE"})


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
@click.argument(
    "arguments", metavar="-- CMD [ARGUMENT]...", nargs=-1, required=True, type=click.UNPROCESSED
)
def command(arguments: tuple[str, ...], rule: tuple[AccessRule, ...], **flags: Any) -> int:
    """Run CMD with a private proxy, which ends with it.

    CMD finds OVH_ENDPOINT, OVH_ACCESS_TOKEN and OVH_PROXY_URL in its environment, and none of your
    keys. With --profile it may use that profile alone, with --rule only those calls. A CMD of the
    same user that goes looking can still read the store: another user or a container is the wall.

    Exits as CMD does; with 128 and its number on a signal, with 127 when there is no CMD.
    """
    require_c_parser()
    from ovh_proxy.server.memory import close_memory

    close_memory()
    loaded = load(Sources(**flags))
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    token = secrets.token_urlsafe(32)
    profiles = (flags["profile"],) if flags["profile"] else ()
    client = Client("exec", hashlib.sha256(token.encode()).digest(), profiles, rule or None)
    settings = private(loaded.settings, client)
    environ = without_keys(os.environ, loaded.variables)
    return asyncio.run(_serve(settings, arguments, environ, token, bool(flags["log_level"])))


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
    )


def without_keys(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The environment less what holds keys, and what would lead elsewhere.

    Args:
        variables: that the store refers to.
    """
    dropped = _OTHERS.union(variables)
    return {
        name: value
        for name, value in environ.items()
        if name not in dropped and not name.startswith(_KEYS)
    }


async def _serve(
    settings: Settings,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    token: str,
    is_logged: bool,
) -> int:
    from ovh_proxy.cli.child import run_child
    from ovh_proxy.server.logs import Log
    from ovh_proxy.server.serve import Stop, serve

    # Standard error is CMD's own, unless the log was asked for.
    log = Log(settings.log.level, settings.log.format, None if is_logged else _Nowhere())
    stop = Stop()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    served = asyncio.ensure_future(serve(settings, log, listening.set_result, stop))
    await asyncio.wait((served, listening), return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        await served  # raises why it does not listen
    url = listening.result().split()[3]  # ovh-proxy: listening on URL (…)
    told = {"OVH_ENDPOINT": f"{url}/1.0", "OVH_ACCESS_TOKEN": token, "OVH_PROXY_URL": url}
    try:
        return await run_child(arguments, environ | told)
    finally:
        stop()
        stop()  # nobody is left to wait for an answer
        await served


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)
