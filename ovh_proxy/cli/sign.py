"""`ovh-proxy sign`: prints one call signed, as headers, as curl, explained."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.terminal import MASK, safe
from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import authorize
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import CommandFailed, RequestRefused, UsageError
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import Settings, Store
from ovh_proxy.core.target import parse_target
from ovh_proxy.ovhcloud.auth_api import CREDENTIAL_PATH, TIME_PATH
from ovh_proxy.ovhcloud.signature import sign, signature_headers
from ovh_proxy.policy.headers import with_content_type
from ovh_proxy.policy.routing import Route, find_route

_MAX_SHOWN = 500
# Characters that curl treats as a URL pattern unless --globoff is given.
_GLOBS = frozenset("[]{}")


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call and everything that its signature covers.

    Attributes:
        timestamp: whole seconds since the epoch by OVHcloud's clock.
        file: the file name that --data gave for the body; None if the body has no file.
    """

    method: str
    route: Route
    credential: ApplicationCredential
    timestamp: int
    body: bytes = b""
    file: str | None = None

    def headers(self) -> tuple[str, ...]:
        """The four authentication headers, in OVHcloud's documented spelling.

        Raises:
            NoCredential: the profile has no consumer key yet.
        """
        url = self.route.upstream_url
        signature = sign(self.credential, self.method, url, self.body, self.timestamp)
        headers = signature_headers(self.credential, signature, self.timestamp)
        return tuple(f"{name.decode()}: {value.decode()}" for name, value in headers)

    def curl(self) -> str:
        """The call as a curl command for a POSIX shell.

        Raises:
            UsageError: the body cannot be part of a command.
            NoCredential: the profile has no consumer key yet.
        """
        url = self.route.upstream_url
        opening = ["curl", *_method_flags(self.method, bool(self.body)), url]
        if _GLOBS & set(url):
            opening.insert(1, "--globoff")
        headers = [*self.headers(), *self._content_type()]
        parts = [opening, *(["-H", header] for header in headers), *self._data_flags()]
        return " \\\n  ".join(map(shlex.join, parts))

    def explanation(self) -> Iterator[str]:
        """The parts that the signature covers, one line each, secrets masked."""
        profile = self.route.profile
        yield f"profile: {profile.name} at {safe(profile.endpoint.name)}"
        yield 'X-Ovh-Signature is "$1$" and the SHA-1 of these parts, with + between them:'
        yield f"  application secret: {MASK}"
        yield f"  consumer key: {MASK}"
        yield f"  method: {self.method}"
        yield f"  URL: {safe(self.route.upstream_url)}"
        yield f"  body: {self._shown_body()}"
        yield f"  timestamp: {self.timestamp}"

    def _content_type(self) -> Iterator[str]:
        # The same header that `run` adds.
        for name, value in with_content_type((), self.body[:64]):
            yield f"{name.decode()}: {value.decode()}"

    def _data_flags(self) -> Iterator[list[str]]:
        if not self.body:
            return
        if self.file is not None:
            yield ["--data-binary", f"@{self.file}"]
            return
        text = _text(self.body)
        if text is None:
            raise UsageError(
                "--data: the body is not text and cannot be part of a command; use --data @FILE"
            )
        # curl reads a file if the value of --data-binary begins with @.
        yield ["--data-raw" if text.startswith("@") else "--data-binary", text]

    def _shown_body(self) -> str:
        if not self.body:
            return "(empty)"
        text = _text(self.body)
        if text is None:
            return f"{len(self.body)} bytes"
        return safe(text) if len(text) <= _MAX_SHOWN else f"{safe(text[:_MAX_SHOWN])}…"


def _method_flags(method: str, has_body: bool) -> list[str]:
    if not has_body and method in ("GET", "HEAD"):
        return ["--head"] if method == "HEAD" else []
    return ["-X", method]


def _text(body: bytes) -> str | None:
    """The body as text, or None if a command line cannot hold it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_UNSENDABLE = re.compile(rb"[\x00-\x20\x7f]")
_UNSIGNED = frozenset({("GET", TIME_PATH), ("POST", CREDENTIAL_PATH)})


@click.command("sign")
@click.argument("method")
@click.argument("path")
@option("--data", "Request body: TEXT, @FILE, or - for standard input.", "sign", metavar="TEXT")
@option(
    "--timestamp",
    "Sign for this time, in seconds since the epoch, instead of OVHcloud's current time.",
    "sign",
    type=click.IntRange(min=0),
    metavar="N",
)
@option("--curl", "Print a curl command.", "sign", is_flag=True)
@option(
    "--explain", "Also print what the signature covers, with secrets masked.", "sign", is_flag=True
)
@store_options
def command(method: str, path: str, data: str | None, timestamp: int | None, **flags: Any) -> None:
    """Print the signed headers of one call, one per line.

    PATH is a path as clients send it to the proxy: /me, /v2/iam/policy, /@NAME/me. The access
    rules of the profile apply. The headers contain the consumer key and authorize the call for a
    short time: keep them secret.
    """
    as_curl, explain = flags.pop("curl"), flags.pop("explain")
    settings = load_settings(Sources(**flags))
    method = _checked_method(method)
    route, credential = _allowed_route(method, path, settings.store)
    body, file = _read_body(data)
    if timestamp is None:
        # Imported here: not needed with --timestamp.
        import asyncio

        timestamp = asyncio.run(_ask_clock(settings, route.profile.endpoint))
    call = SignedCall(method, route, credential, timestamp, body, file)
    lines = [call.curl()] if as_curl else [*call.headers()]
    if explain:
        # As comments, so that the output can be pasted into a shell.
        lines += [f"# {line}" for line in call.explanation()]
    click.echo("\n".join(lines))


def _checked_method(method: str) -> str:
    # Lower case is accepted, as in python-ovh.
    if not _METHOD.fullmatch(method.upper()):
        raise UsageError(f"METHOD: invalid method {quoted(method)}; use a word such as GET")
    return method.upper()


def _allowed_route(method: str, path: str, store: Store) -> tuple[Route, ApplicationCredential]:
    route = _find_route(path, store)
    profile, call = route.profile, f"{method} {route.path}"
    authorize(
        method, route.path, route.decoded_path, [(f"profile {profile.name}", profile.access_rules)]
    )
    if not isinstance(profile.credential, ApplicationCredential):
        raise CommandFailed(
            f"calls of profile {profile.name} are not signed: they carry a token "
            f"({kind_of(profile.credential)}); run: ovh-proxy run --profile {profile.name}"
        )
    if (method, route.path) in _UNSIGNED:
        raise CommandFailed(f"{call} is not signed: OVHcloud expects this call without a signature")
    return route, profile.credential


def _find_route(path: str, store: Store) -> Route:
    raw = os.fsencode(path)
    if _UNSENDABLE.search(raw):
        # Not repeated: a query may hold a secret.
        raise UsageError("PATH: contains a space or a control character; percent-encode it (%20)")
    try:
        return find_route(parse_target(raw), None, (), store)
    except RequestRefused as failure:
        raise UsageError(f"PATH: {failure}") from failure


def _read_body(data: str | None) -> tuple[bytes, str | None]:
    """The body, and the name of its file if it has one."""
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
        reason = (failure.strerror or "unknown error").lower()
        raise UsageError(f"--data: cannot read {data[1:]}: {reason}") from failure


async def _ask_clock(settings: Settings, endpoint: Endpoint) -> int:
    from ovh_proxy.auth.api_calls import ApiClient

    async with ApiClient(settings.upstream, settings.timeouts) as client:
        return await client.clocks.of(endpoint).timestamp()
