"""Where a request goes: its profile, and the upstream URL that its target means."""

import re
from dataclasses import dataclass, field
from urllib.parse import urljoin

from ovh_proxy.core.by_host import profile_at, split_base
from ovh_proxy.core.choice import Pins, choose_profile
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import UnknownRoute
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.core.target import Target, decode_path
from ovh_proxy.policy.hosts import HostPort

OWN_PREFIX = "/-/"
_VERSION = re.compile(r"/(?:1\.0|v1|v2)(?=/|\Z)")


def is_own(path: str) -> bool:
    """Whether a path as written is one of the proxy's own routes."""
    return path.startswith(OWN_PREFIX)


@dataclass(frozen=True, slots=True)
class Route:
    """Where one request goes.

    Attributes:
        upstream_url: signed and sent as it stands.
        path: what access rules are matched against: without version for 1.0 and v1, with it for v2.
        decoded_path: the same, fully decoded.
        prefix: what stands before that path in the client's own URL: `/@name` as it wrote it, and
            what an endpoint's own host has before its API; mostly empty.
    """

    profile: Profile
    upstream_url: str = field(repr=False)
    path: str
    decoded_path: str
    prefix: str


def find_route(
    target: Target, named: str | None, pins: Pins, store: Store, host_port: HostPort | None = None
) -> Route:
    """The route of a request.

    Args:
        named: the profile that header `X-Ovh-Proxy-Profile` names.
        host_port: the endpoint's own host, where the request was made to one.

    Raises:
        UnknownProfile, ProfileRefused, UnnamedProfile: no profile to use.
        UnknownRoute: the path is the proxy's own in one of its readings, or not of the API.
    """
    prefix, rest = _split_prefix(target.path)
    if decode_path(rest).startswith(OWN_PREFIX):
        raise UnknownRoute("paths under /-/ are the proxy's own and are not forwarded")
    named = prefix.removeprefix("/@") if prefix else named
    if host_port is None:
        profile = choose_profile(named, pins, store)
    else:
        profile = profile_at(host_port, named, pins, store)
        base, rest = _below_base(rest, profile.endpoint)
        prefix += base
    path = _rule_path(rest, profile.endpoint)
    return Route(
        profile=profile,
        upstream_url=_upstream_path(rest, profile.endpoint) + target.query,
        path=path,
        decoded_path=decode_path(path),
        prefix=prefix,
    )


def _below_base(path: str, endpoint: Endpoint) -> tuple[str, str]:
    split = split_base(path, endpoint)
    if split is None or (endpoint.is_versioned and _version_of(split[1]) is None):
        base = endpoint.root.partition("://")[2].partition("/")[2]
        begins = f"/{base}".rstrip("/") + ("/1.0/, /v1/ or /v2/" if endpoint.is_versioned else "/")
        raise UnknownRoute(f"on this host the paths of the API begin with {begins}")
    return split


def _split_prefix(path: str) -> tuple[str, str]:
    if not path.startswith("/@"):
        return "", path
    end = path.find("/", 2)
    return (path, "/") if end < 0 else (path[:end], path[end:])


def _version_of(path: str) -> str | None:
    match = _VERSION.match(path)
    return None if match is None else match[0]


def _upstream_path(path: str, endpoint: Endpoint) -> str:
    # SDK rule (python-ovh, go-ovh): an endpoint in /1.0 gives it up for a path with a version.
    if endpoint.is_versioned and _version_of(path):
        return endpoint.root + path
    return endpoint.base_url + path


def _rule_path(path: str, endpoint: Endpoint) -> str:
    version = _version_of(path) if endpoint.is_versioned else None
    if version is None or version == "/v2":
        return path or "/"
    return path.removeprefix(version) or "/"


def local_location(location: str, route: Route, proxy_origin: str) -> str:
    """A `Location` of an answer as the client has to follow it.

    Args:
        location: an absolute URL or a reference relative to the request's own URL.
        proxy_origin: scheme and authority by which the client reached us.

    Returns:
        an absolute URL of the proxy where it leads into the same endpoint, else an absolute URL
        untouched; a relative reference that leads elsewhere is made absolute, because the client
        would read it against the proxy's URL.
    """
    endpoint = route.profile.endpoint
    try:
        absolute = urljoin(route.upstream_url, location) if _is_relative(location) else location
    except ValueError:  # brackets that are no IPv6 address
        return location
    path = _path_behind(endpoint.root, absolute)
    if path is None:
        return absolute
    if endpoint.is_versioned and not _version_of(path.partition("?")[0].partition("#")[0]):
        return absolute
    return f"{proxy_origin}{route.prefix}{path}"


def _path_behind(root: str, url: str) -> str | None:
    """What a URL has behind the root of an endpoint, byte for byte; None where that is not its."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    # RFC 3986 section 6.2.3: host and scheme are case-insensitive, a default port says nothing.
    default = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
    origin = f"{scheme}://{authority.removesuffix(default)}".lower()
    whole = origin + slash + path
    return whole.removeprefix(root) if whole.startswith(root + "/") else None


def _is_relative(location: str) -> bool:
    return "://" not in location.partition("?")[0] and not location.startswith("//")
