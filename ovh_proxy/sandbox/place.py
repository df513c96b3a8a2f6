"""Which place in the API a request target names: its version, path and query."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

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
