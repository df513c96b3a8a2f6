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
    """A request target, taken apart.

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
        """The path as access rules see it: with its version for v2 alone."""
        return f"/v2{self.path}" if self.version == "v2" else self.path

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded pieces of the path. They are cut first: a `%2F` stays within its piece."""
        return tuple(unquote(piece) for piece in self.path.split("/")[1:])

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


def parse_api_path(target: bytes) -> ApiPath:
    """Takes a raw request target apart. Absolute forms and `*` are places without a version."""
    path, _, query = target.decode("latin-1").partition("?")
    head, slash, rest = path[1:].partition("/")
    version = VERSIONS.get(f"/{head}") if path.startswith("/") else None
    if version is None:
        return ApiPath("", path, query)
    return ApiPath(version, f"{slash}{rest}" or "/", query)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What came over the wire, and what the sandbox thought of it.

    Attributes:
        target: the request target, as written: `/1.0/ip/192.0.2.0%2F24?x=`.
        version: `1.1` or `1.0`.
        headers: names and values in order and spelling, repeated ones included.
        body: as sent; undone chunks, but never decompressed.
        verdict: `signed by APPLICATION_KEY`, `token`, `unsigned`, `refused: CODE`, or `incomplete`
            when the client went away (or stopped making sense) within the body.
    """

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    verdict: str = "unsigned"

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the spelling of its name."""
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
        """What the record says of the request."""
        return f"signed by {self.application.application_key}"


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """A caller that showed an access token; a personal one has no `client_id`."""

    client_id: str | None
    verdict: str = "token"


@dataclass(frozen=True, slots=True)
class Anyone:
    """A caller that nothing is known of: the route asks for no authentication."""

    verdict: str = "unsigned"


Caller = Signed | TokenBearer | Anyone


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route.

    Attributes:
        scheme: `http` or `https`.
        now: by the sandbox's clock, in seconds since the epoch.
        variables: the decoded pieces of the path that the route's template names.
    """

    received: ReceivedRequest
    place: ApiPath
    scheme: str
    now: float
    caller: Caller = Anyone()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Scheme and host, as the client called us: `http://127.0.0.1:4000`."""
        return f"{self.scheme}://{self.received.header('Host') or ''}"

    def fields(self) -> dict[str, object]:
        """The body, which has to be a JSON object.

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
        """A field of the body that has to be there, as text.

        Raises:
            Refusal: 400 when it is missing or no text.
        """
        value = self.fields().get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"[{name}] has to be a text")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole number of the query.

        Raises:
            Refusal: 400 when it is none.
        """
        return whole(name, self.place.parameters.get(name, str(default)))


def whole(name: str, text: str) -> int:
    """Digits as a number.

    Raises:
        Refusal: 400 when they are none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise bad_request(f"[{name}] has to be a whole number")
    return int(text)
