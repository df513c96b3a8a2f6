"""A request as it came in, the API path that it names, and how a route sees it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from ovh_proxy.sandbox.grants import Application, ConsumerKey
from ovh_proxy.sandbox.responses import bad_request

# `/v1` is another name for `/1.0`. Source: OVHcloud's guide to API v2.
VERSIONS = {"/1.0": "v1", "/v1": "v1", "/v2": "v2"}


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A parsed request target.

    Attributes:
        version: `v1`, `v2`, or empty outside the API (`/auth/oauth2/token`).
        path: as written, without the version: `/ip/192.0.2.0%2F24/reverse`.
        query: as written, without the question mark.
    """

    version: str
    path: str
    query: str

    @property
    def rule_path(self) -> str:
        """The path as access rules see it: with the version only for v2."""
        return f"/v2{self.path}" if self.version == "v2" else self.path

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments; split before decoding, so that `%2F` does not separate."""
        return tuple(unquote(piece) for piece in self.path.split("/")[1:])

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; the last one wins if repeated."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


def parse_api_path(target: bytes) -> ApiPath:
    """Parses a raw request target; absolute forms and `*` have no version."""
    path, _, query = target.decode("latin-1").partition("?")
    head, slash, rest = path[1:].partition("/")
    version = VERSIONS.get(f"/{head}") if path.startswith("/") else None
    if version is None:
        return ApiPath("", path, query)
    return ApiPath(version, f"{slash}{rest}" or "/", query)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as received, and the sandbox's verdict on it.

    Attributes:
        target: the raw request target: `/1.0/ip/192.0.2.0%2F24?x=`.
        version: `1.1` or `1.0`.
        headers: names and values in their order and spelling, repeated ones included.
        body: as sent, without chunk framing but never decompressed.
        verdict: `signed by APPLICATION_KEY`, `token`, `unsigned`, `refused: CODE`, or `incomplete`
            if the client disconnected or sent garbage within the body.
    """

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    verdict: str = "unsigned"

    def header(self, name: str) -> str | None:
        """The first value of a header; names are case-insensitive."""
        return next(self._values(name), None)

    def values(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return list(self._values(name))

    def _values(self, name: str) -> Iterator[str]:
        wanted = name.lower().encode("latin-1")
        return (value.decode("latin-1") for key, value in self.headers if key.lower() == wanted)


@dataclass(frozen=True, slots=True)
class Signed:
    """A caller that signed with application keys."""

    application: Application
    consumer_key: ConsumerKey

    @property
    def verdict(self) -> str:
        """The verdict as recorded with the request."""
        return f"signed by {self.application.application_key}"


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """A caller with an access token; a personal one has no `client_id`."""

    client_id: str | None
    verdict: str = "token"


@dataclass(frozen=True, slots=True)
class Anyone:
    """An unauthenticated caller of a route that needs no authentication."""

    verdict: str = "unsigned"


Caller = Signed | TokenBearer | Anyone


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route.

    Attributes:
        scheme: `http` or `https`.
        now: the sandbox's time, in seconds since the epoch.
        variables: the decoded path segments by their names in the route's template.
    """

    received: ReceivedRequest
    api_path: ApiPath
    scheme: str
    now: float
    caller: Caller = Anyone()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Scheme and Host header: `http://127.0.0.1:4000`."""
        return f"{self.scheme}://{self.received.header('Host') or ''}"

    def fields(self) -> dict[str, object]:
        """The body as a JSON object.

        Raises:
            Refusal: 400 for any other body.
        """
        try:
            parsed = json.loads(self.received.body)
        except ValueError:
            raise bad_request("The body is not valid JSON") from None
        if not isinstance(parsed, dict):
            raise bad_request("The body has to be a JSON object")
        return parsed

    def text(self, name: str) -> str:
        """A required string field of the body.

        Raises:
            Refusal: 400 if it is missing, empty or not a string.
        """
        value = self.fields().get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"[{name}] has to be a text")
        return value

    def number(self, name: str, default: int) -> int:
        """A query parameter as a whole number.

        Raises:
            Refusal: 400 for anything else.
        """
        return whole(name, self.api_path.parameters.get(name, str(default)))


def whole(name: str, text: str) -> int:
    """Digits as a number.

    Raises:
        Refusal: 400 for anything but digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise bad_request(f"[{name}] has to be a whole number")
    return int(text)
