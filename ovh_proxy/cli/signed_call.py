"""One call, signed: as headers, as a curl command, and explained."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ovh_proxy.cli.terminal import MASK, safe
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import UsageError
from ovh_proxy.ovhcloud.signature import sign, signature_headers
from ovh_proxy.policy.headers import with_content_type
from ovh_proxy.policy.routing import Route

_MAX_SHOWN = 500
# What curl takes for a pattern unless it is told not to.
_GLOBS = frozenset("[]{}")


@dataclass(frozen=True, slots=True)
class SignedCall:
    """All that a signature is made of.

    Attributes:
        file: where the body lies, as it was named; None when it was given as it is.
        timestamp: whole seconds since the epoch by OVHcloud's clock.
    """

    method: str
    route: Route
    credential: ApplicationCredential
    timestamp: int
    body: bytes = b""
    file: str | None = None

    def headers(self) -> tuple[str, ...]:
        """The four that prove who calls, in their documented spelling.

        Raises:
            NoCredential: there is no consumer key yet.
        """
        url = self.route.upstream_url
        signature = sign(self.credential, self.method, url, self.body, self.timestamp)
        proof = signature_headers(self.credential, signature, self.timestamp)
        return tuple(f"{name.decode()}: {value.decode()}" for name, value in proof)

    def curl(self) -> str:
        """The whole call as a command for a POSIX shell.

        Raises:
            UsageError: the body cannot stand in a command.
            NoCredential: there is no consumer key yet.
        """
        url = self.route.upstream_url
        opening = ["curl", *_method_flags(self.method, bool(self.body)), url]
        if _GLOBS & set(url):
            opening.insert(1, "--globoff")
        headers = [*self.headers(), *self._content_type()]
        parts = [opening, *(["-H", header] for header in headers), *self._data_flags()]
        return " \\\n  ".join(map(shlex.join, parts))

    def explanation(self) -> Iterator[str]:
        """What the signature covers, a line each, the secrets masked."""
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
        # As `run` would send it.
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
            raise UsageError("the body is no text that a command could hold; name it: --data @FILE")
        # curl reads a file where --data-binary begins with @.
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
    """The body as text, or None where it is none that a command line could hold."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
