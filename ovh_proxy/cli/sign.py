"""`ovh-proxy sign`: prints the signed headers of one call."""

import os
import re
import sys
from typing import Any

import click

from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.signed_call import SignedCall
from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import authorize
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import CommandFailed, RequestRefused, UsageError
from ovh_proxy.core.settings import Settings, Store
from ovh_proxy.core.target import parse_target
from ovh_proxy.ovhcloud.auth_api import CREDENTIAL_PATH, TIME_PATH
from ovh_proxy.policy.routing import Route, find_route

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_UNSENDABLE = re.compile(rb"[\x00-\x20\x7f]")
_UNSIGNED = frozenset({("GET", TIME_PATH), ("POST", CREDENTIAL_PATH)})


@click.command("sign")
@click.argument("method")
@click.argument("path")
@option("--data", "The body: TEXT, @FILE, or - for standard input.", "sign", metavar="TEXT")
@option(
    "--timestamp",
    "Sign for this moment, in seconds since the epoch, and ask nobody for the time.",
    "sign",
    type=click.IntRange(min=0),
    metavar="N",
)
@option("--curl", "Print a whole curl command.", "sign", is_flag=True)
@option("--explain", "Print what the signature covers too; secrets masked.", "sign", is_flag=True)
@store_options
def command(method: str, path: str, data: str | None, timestamp: int | None, **flags: Any) -> None:
    """Print the signed headers of one call, a line each.

    PATH is what the proxy would be asked for: /me, /v2/iam/policy, /@NAME/me. The profile's access
    rules hold. The lines prove who you are for a short while, and hold the consumer key: keep them
    to yourself.
    """
    as_curl, explains = flags.pop("curl"), flags.pop("explain")
    settings = load_settings(Sources(**flags))
    method = _checked_method(method)
    route, credential = _allowed_route(method, path, settings.store)
    body, file = _read_body(data)
    if timestamp is None:
        # Imported here: with --timestamp nobody is asked.
        import asyncio

        timestamp = asyncio.run(_ask_clock(settings, route.profile.endpoint))
    call = SignedCall(method, route, credential, timestamp, body, file)
    lines = [call.curl()] if as_curl else [*call.headers()]
    if explains:
        # As comments, so that the whole can be pasted into a shell.
        lines += [f"# {line}" for line in call.explanation()]
    click.echo("\n".join(lines))


def _checked_method(method: str) -> str:
    # python-ovh takes `get` for GET, and so do people.
    if not _METHOD.fullmatch(method.upper()):
        raise UsageError("METHOD is a word such as GET")
    return method.upper()


def _allowed_route(method: str, path: str, store: Store) -> tuple[Route, ApplicationCredential]:
    route = _find_route(path, store)
    profile, call = route.profile, f"{method} {route.path}"
    authorize(
        method, route.path, route.decoded_path, [(f"profile {profile.name}", profile.access_rules)]
    )
    if not isinstance(profile.credential, ApplicationCredential):
        raise CommandFailed(
            f"the calls of profile {profile.name} carry a token ({kind_of(profile.credential)}) "
            f"and are not signed; let the proxy add it: ovh-proxy run --profile {profile.name}"
        )
    if (method, route.path) in _UNSIGNED:
        raise CommandFailed(f"{call} is not signed: OVHcloud wants it without a signature")
    return route, profile.credential


def _find_route(path: str, store: Store) -> Route:
    raw = os.fsencode(path)
    if _UNSENDABLE.search(raw):
        raise UsageError("PATH holds a space or a control character: percent-encode it (%20)")
    try:
        return find_route(parse_target(raw), None, (), store)
    except RequestRefused as failure:
        raise UsageError(f"PATH: {failure}") from failure


def _read_body(data: str | None) -> tuple[bytes, str | None]:
    """The body, and the name of the file that it was read from."""
    if data is None:
        return b"", None
    if data == "-":
        return sys.stdin.buffer.read(), None
    if not data.startswith("@"):
        return os.fsencode(data), None
    try:
        with open(data[1:], "rb") as file:
            return file.read(), data[1:]
    except OSError as failure:
        reason = (failure.strerror or "it failed").lower()
        raise UsageError(f"--data: {data[1:]} cannot be read: {reason}") from failure


async def _ask_clock(settings: Settings, endpoint: Endpoint) -> int:
    from ovh_proxy.auth.clock import Clock
    from ovh_proxy.upstream.pool import Pool

    pool = Pool(settings.upstream, settings.timeouts)
    clock = Clock(pool, endpoint)
    try:
        return await clock.timestamp()
    finally:
        await clock.close()
        await pool.close()
