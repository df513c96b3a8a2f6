"""`ovh-proxy sandbox`: a small OVHcloud API to test tools against, and a store for it."""

import asyncio
import os
import socket
from pathlib import Path
from types import MappingProxyType

import click

from ovh_proxy.cli.options import option
from ovh_proxy.config.listener_fields import parse_tcp
from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import CommandFailed, ListenFailed, UsageError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store, TcpAddress

# `demo` shows a rejected call: these rules allow creating records but not deleting anything.
_DEMO_RULES = ("GET /*", "POST,PUT /domain/zone/*")


def store_text(base_url: str, token_url: str) -> str:
    """A credential store in YAML with one profile per kind of credential."""
    from ovh_proxy.sandbox import grants

    return f"""\
default: sandbox
profiles:
  sandbox:
    endpoint: {base_url}
    application_key: {grants.APPLICATION_KEY}
    application_secret: {grants.APPLICATION_SECRET}
    consumer_key: {grants.CONSUMER_KEY}
  robot:
    endpoint: {base_url}
    token_url: {token_url}
    client_id: {grants.CLIENT_ID}
    client_secret: {grants.CLIENT_SECRET}
  personal-access:
    endpoint: {base_url}
    access_token: {grants.ACCESS_TOKEN}
"""


def demo_store(base_url: str, token_url: str) -> Store:
    """The same store as values, for `demo`; its default profile has access rules."""
    from ovh_proxy.sandbox import grants

    endpoint = parse_endpoint(base_url)
    rules = tuple(rule for text in _DEMO_RULES for rule in parse_access_rule(text))
    keys = ApplicationCredential(
        Secret(grants.APPLICATION_KEY),
        Secret(grants.APPLICATION_SECRET),
        Secret(grants.CONSUMER_KEY),
    )
    robot = ServiceAccount(grants.CLIENT_ID, Secret(grants.CLIENT_SECRET), token_url)
    profiles = (
        Profile("demo", endpoint, keys, rules),
        Profile("robot", endpoint, robot),
        Profile("personal-access", endpoint, AccessToken(Secret(grants.ACCESS_TOKEN))),
    )
    named = {profile.name: profile for profile in profiles}
    return Store(MappingProxyType(named), "demo", "made-up keys")


@click.command("sandbox")
@option(
    "--listen",
    "Address to listen on; port 0 means any free port.",
    "sandbox",
    metavar="HOST:PORT",
    default="127.0.0.1:8180",
    show_default=True,
)
@option("--write", "Write its credential store to FILE.", "sandbox", metavar="FILE")
@option("--force", "Let --write replace an existing file.", "sandbox", is_flag=True)
def command(listen: str, write: str | None, force: bool) -> None:
    """Serve a small fake OVHcloud API that verifies every signature.

    Its keys, account and machines are made up. Prints a credential store with these keys and
    serves until Ctrl-C or SIGTERM.
    """
    try:
        address = parse_tcp(listen)
    except ValueError as failure:
        raise UsageError(f"--listen {listen}: {failure}") from failure
    asyncio.run(_serve(address, Path(write) if write else None, force))


async def _serve(address: TcpAddress, file: Path | None, replace: bool) -> None:
    from ovh_proxy.sandbox.api import Sandbox
    from ovh_proxy.server.serve import ShutdownRequest, handle_signals

    sandbox, stop = Sandbox(), ShutdownRequest()
    handle_signals(stop)
    try:
        await sandbox.start(address.host, address.port)
    except OSError as failure:
        raise ListenFailed(f"cannot listen on {address}: {_reason(failure)}") from failure
    try:
        text = store_text(sandbox.base_url, sandbox.token_url)
        if file is not None:
            _write(file, text, replace)
        click.echo(f"ovh-proxy sandbox: listening on {sandbox.url}\n\n{_instructions(text, file)}")
        await stop.requested.wait()
    finally:
        await sandbox.stop()


def _reason(failure: OSError) -> str:
    if isinstance(failure, socket.gaierror):
        return "the host name does not resolve"
    # asyncio repeats the address in the text of the error; the error number gives a short text.
    return os.strerror(failure.errno).lower() if failure.errno else "unknown error"


def _instructions(text: str, file: Path | None) -> str:
    if file is not None:
        return f"# In another terminal: ovh-proxy run --credentials {file}"
    return (
        "# Credential store with its made-up keys. Save it as sandbox.yaml with mode 0600, or use "
        f"--write:\n{text}\n# Then, in another terminal: ovh-proxy run --credentials sandbox.yaml"
    )


def _write(file: Path, text: str, replace: bool) -> None:
    """Writes the file with mode 0600; without `replace`, never over an existing store of real keys.

    Raises:
        CommandFailed: the file exists, or cannot be written.
    """
    try:
        if replace:
            file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as failure:
        raise CommandFailed(
            f"--write: {file} already exists; use --force to replace it"
        ) from failure
    except OSError as failure:
        reason = (failure.strerror or "unknown error").lower()
        raise CommandFailed(f"--write: cannot write {file}: {reason}") from failure
