"""`ovh-proxy env`: prints the variables that point a shell at a running proxy, once that lets it in."""  # noqa: E501 - the caption in one line

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from ovh_proxy.cli.client_environment import (
    FORMATS,
    ProxyAccess,
    endpoint_name,
    is_key,
    made_up_keys_option,
    variables,
)
from ovh_proxy.cli.options import Choice, listen_options, option, store_options
from ovh_proxy.cli.running_proxy import ALIVE, ask, parse_proxy_url, url_option
from ovh_proxy.cli.terminal import complain
from ovh_proxy.config.files import MAX_BYTES, Unreadable, read_text
from ovh_proxy.config.server_settings import read_settings, settings_document
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import CommandFailed, ConfigurationError, UsageError
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.core.settings import DEFAULT_LISTENERS, AutoTls, Listener, TcpAddress

TOKEN_VARIABLE = "OVH_PROXY_TOKEN"  # noqa: S105 - the name of one

_TOKEN = re.compile(r"[!-~]+")

# Listens on all addresses; nothing is bound here.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - see above


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """Where a proxy is, and what its settings say of it.

    Attributes:
        intercepts: it takes over connections to OVHcloud's hosts.
        refuses_others: it does not lead anywhere else.
        shows_ours: clients meet certificates of our own authority.
    """

    address: TcpAddress
    is_tls: bool
    intercepts: bool
    refuses_others: bool
    shows_ours: bool

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.address}"


def find_running(url: str | None, sources: Sources) -> RunningProxy:
    """The proxy at a URL, else at the first listener of the settings that has a port.

    One in clear goes before one with TLS.

    Raises:
        UsageError, ConfigurationError: there is none that clients could be pointed at.
    """
    values, problems = read_settings(settings_document(sources), sources)
    if problems:
        raise ConfigurationError(problems)
    listeners: tuple[Listener, ...] = values.get("listen", DEFAULT_LISTENERS)
    address, is_tls = parse_proxy_url(url) if url else _first(listeners)
    if not isinstance(address, TcpAddress) or address.port == 0:
        raise UsageError(
            "no variable leads clients to a unix socket, or to a port that is not known: "
            "say --url http://HOST:PORT"
        )
    intercepts = bool(values.get("intercept", False))
    return RunningProxy(
        TcpAddress(_EVERYWHERE.get(address.host, address.host), address.port),
        is_tls,
        intercepts,
        intercepts and values.get("intercept_others", "refuse") == "refuse",
        intercepts or any(isinstance(one.tls, AutoTls) for one in listeners),
    )


def _first(listeners: tuple[Listener, ...]) -> tuple[object, bool]:
    with_port = [one for one in listeners if isinstance(one.address, TcpAddress)]
    # Not every client takes an HTTP proxy that speaks TLS.
    first = min(with_port or listeners, key=lambda one: one.tls is not None)
    return first.address, first.tls is not None


def read_token(file: str | None, environ: Mapping[str, str]) -> str | None:
    """The client token, where there is one.

    Args:
        file: that holds it; `-` is standard input.

    Raises:
        CommandFailed: it cannot be read.
        UsageError: it can be none.
    """
    token = environ.get(TOKEN_VARIABLE) or None if file is None else _read(file)
    if token is not None and not _TOKEN.fullmatch(token):
        raise UsageError("a client token is printable ASCII without spaces, in one line")
    return token


def _read(file: str) -> str:
    try:
        text = _standard_input() if file == "-" else read_text(file)
    except Unreadable as failure:
        raise CommandFailed(f"{file} {failure}") from failure
    return text.removesuffix("\n").removesuffix("\r")


def _standard_input() -> str:
    # What is no UTF-8 is no token, and told so.
    return sys.stdin.buffer.read(MAX_BYTES).decode(errors="replace")


def check(running: RunningProxy, token: str | None) -> None:
    """Asks the proxy whether it is there, and lets in whoever shows the token.

    Over TLS nobody looks at the certificate here, so that the token is not shown.

    Raises:
        CommandFailed: it is not there, or does not.
        UsageError: it asks for a token, and there is none.
    """
    shown = None if running.is_tls else token
    status = ask(running.address, running.is_tls, "/-/healthz", token=shown).status
    if status == 401 and token is None:
        raise UsageError(
            f"the proxy at {running.address} asks for a client token: say --token-file FILE, or "
            f"set {TOKEN_VARIABLE}; ovh-proxy token makes one"
        )
    if status == 401 and shown is not None:
        raise CommandFailed(f"the proxy at {running.address} does not take this client token")
    if status not in ALIVE:
        raise CommandFailed(f"the proxy at {running.address} answers {status}")


@click.command("env")
@option(
    "--format",
    "For which shell or file; dotenv is for .env files.",
    "env",
    type=Choice(list(FORMATS)),
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
    from ovh_proxy.cli.client_trust import write_stored_trust

    return write_stored_trust(sources, environ)


def _warn(running: RunningProxy) -> None:
    if running.refuses_others:
        complain(
            "with these, https:// leads to OVHcloud's hosts alone; "
            "for others set intercept_others: tunnel"
        )
