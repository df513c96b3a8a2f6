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
from ovh_proxy.core.settings import DEFAULT_LISTENERS, Address, AutoTls, Listener, TcpAddress

TOKEN_VARIABLE = "OVH_PROXY_TOKEN"  # noqa: S105 - a name
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """The address of a proxy, and what its settings say.

    Attributes:
        intercepts: it terminates TLS for connections to OVHcloud's hosts.
        rejects_others: it rejects connections to other hosts.
        uses_authority: clients get certificates of our own authority.
    """

    address: TcpAddress
    is_tls: bool
    intercepts: bool
    rejects_others: bool
    uses_authority: bool

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.address}"


def find_running(url: str | None, sources: Sources) -> RunningProxy:
    """The proxy at a URL, else at the first TCP listener of the settings, preferably without TLS.

    Raises:
        UsageError, ConfigurationError: there is none that clients could connect to.
    """
    values, problems = read_settings(settings_document(sources), sources)
    if problems:
        raise ConfigurationError(problems)
    listeners: tuple[Listener, ...] = values.get("listen", DEFAULT_LISTENERS)
    address, is_tls = parse_proxy_url(url) if url else _preferred(listeners)
    if not isinstance(address, TcpAddress) or address.port == 0:
        raise UsageError(
            f"clients need the host and port of the proxy, not {address}; use --url http://HOST:PORT"
        )
    intercepts = bool(values.get("intercept", False))
    return RunningProxy(
        TcpAddress(address.connect_host, address.port),
        is_tls,
        intercepts,
        intercepts and values.get("intercept_others", "refuse") == "refuse",
        intercepts or any(isinstance(listener.tls, AutoTls) for listener in listeners),
    )


def _preferred(listeners: tuple[Listener, ...]) -> tuple[Address, bool]:
    tcp = [listener for listener in listeners if isinstance(listener.address, TcpAddress)]
    # Not every client supports an HTTP proxy with TLS.
    first = min(tcp or listeners, key=lambda listener: listener.tls is not None)
    return first.address, first.tls is not None


def read_token(file: str | None, environ: Mapping[str, str]) -> str | None:
    """The client token, if there is one.

    Args:
        file: contains the token; `-` is standard input.

    Raises:
        CommandFailed: the file cannot be read.
        UsageError: the token is malformed.
    """
    token = environ.get(TOKEN_VARIABLE) or None if file is None else _read(file)
    if token is not None and not _TOKEN.fullmatch(token):
        where = f"--token-file {file}" if file else TOKEN_VARIABLE
        raise UsageError(
            f"{where}: invalid client token; use one line of printable ASCII without spaces"
        )
    return token


def _read(file: str) -> str:
    try:
        if file == "-":
            # Bytes that are not UTF-8 are replaced, and the token is rejected as malformed.
            text = sys.stdin.buffer.read(MAX_BYTES).decode(errors="replace")
        else:
            text = read_text(file)
    except Unreadable as failure:
        raise CommandFailed(f"{file} {failure}") from failure
    return text.removesuffix("\n").removesuffix("\r")


def check(running: RunningProxy, token: str | None) -> None:
    """Checks that the proxy is running and accepts the token.

    The certificate is not verified here, so the token is not sent over TLS.

    Raises:
        CommandFailed: the proxy is not running or rejects the token.
        UsageError: the proxy requires a token, and there is none.
    """
    sent = None if running.is_tls else token
    status = ask(running.address, running.is_tls, "/-/healthz", token=sent).status
    if status == 401 and token is None:
        raise UsageError(
            f"the proxy at {running.address} requires a client token; use --token-file FILE or "
            f"set {TOKEN_VARIABLE} (ovh-proxy token creates one)"
        )
    if status == 401 and sent is not None:
        raise CommandFailed(f"the proxy at {running.address} rejects this client token")
    if status not in ALIVE:
        raise CommandFailed(f"the proxy at {running.address} responds with status {status}")


@click.command("env")
@option(
    "--format",
    "The shell or file format; dotenv is for .env files.",
    "env",
    type=Choice(list(FORMATS)),
    default="shell",
    show_default=True,
)
@option(
    "--token-file",
    "The file with the client token, or - for standard input; default: $OVH_PROXY_TOKEN.",
    "env",
    metavar="FILE",
)
@made_up_keys_option("env")
@option("--keep-keys", "Do not unset the OVHcloud keys of the shell.", "env", is_flag=True)
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
    """Print the variables that point a shell to a running proxy: eval "$(ovh-proxy env)".

    Sets the same variables as `ovh-proxy exec` and unsets OVHcloud keys. Checks first that the
    proxy accepts the client token. With `intercept: true` in the settings, also sets HTTPS_PROXY
    and the variables that point to the certificate of the proxy.
    """
    sources = Sources(**flags)
    running = find_running(url, sources)
    token = read_token(token_file, os.environ)
    check(running, token)
    endpoint = _endpoint(sources, flags["profile"]) if made_up_keys else None
    access = ProxyAccess(running.url, token, endpoint, made_up_keys, intercepts=running.intercepts)
    assigned = variables(access, os.environ, DEFAULT_CONSTRAINTS.names)
    if running.uses_authority:
        # Imported here: few proxies have an authority.
        from ovh_proxy.cli.client_trust import write_stored_trust

        assigned |= write_stored_trust(sources, os.environ)
    keys = () if keep_keys else tuple(name for name in os.environ if is_key(name))
    click.echo(FORMATS[format](assigned, tuple(name for name in keys if name not in assigned)))
    if running.rejects_others:
        complain(
            "with these variables, https:// only reaches OVHcloud's hosts; "
            "to reach other hosts, set intercept_others: tunnel"
        )


def _endpoint(sources: Sources, profile: str | None) -> str | None:
    # Imported here: only --made-up-keys needs the store.
    from ovh_proxy.config.loader import load

    loaded = load(sources)
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    return endpoint_name(loaded.settings.store, profile)
