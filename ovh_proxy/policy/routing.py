"""Where a request goes: its profile, and the upstream URL that its target means."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import ProfileRefused, UnknownProfile, UnknownRoute, UnnamedProfile
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.core.target import Target
from ovh_proxy.policy.hosts import HostPort, is_at

Pins = tuple[tuple[str, ...], ...]
"""The profiles that the listener is pinned to, then those of the client; empty is any."""


def choose_profile(named: str | None, pins: Pins, store: Store) -> Profile:
    """The profile that is named, else the first pinned one, else the store's default.

    Raises:
        UnknownProfile, ProfileRefused, UnnamedProfile: no profile to use.
    """
    if named is None:
        named = next((pinned[0] for pinned in pins if pinned), None)
    if named is None:
        profile = store.default_profile
        if profile is None:
            raise UnnamedProfile(
                f"name a profile: /@NAME/… or X-Ovh-Proxy-Profile; there are "
                f"{listed_names(allowed_names(store.profiles, pins))} and no default"
            )
        return profile
    # A pin is asked before the store, so that a pinned client cannot find out other names.
    if not _is_allowed(named, pins):
        raise ProfileRefused("this listener or client is pinned to other profiles")
    if named not in store.profiles:
        known = listed_names(allowed_names(store.profiles, pins))
        raise UnknownProfile(f"there is no such profile; there are {known}")
    return store.profiles[named]


def allowed_names(profiles: Mapping[str, Profile], pins: Pins) -> list[str]:
    """The names that the pins allow, in the order of the store."""
    return [name for name in profiles if _is_allowed(name, pins)]


def listed_names(names: Iterable[str]) -> str:
    """Names for a person."""
    return ", ".join(names) or "none"


def _is_allowed(name: str, pins: Pins) -> bool:
    return all(not pinned or name in pinned for pinned in pins)


def profile_at(host_port: HostPort, named: str | None, pins: Pins, store: Store) -> Profile:
    """The profile that is named; else the first of the listener's or client's that is at the site,
    else the store's default if it is, else the only one that is.

    Raises:
        ProfileRefused: the one that is named is of another endpoint, or pinned away.
        UnknownProfile: no profile is at the site, or none has that name.
        UnnamedProfile: several are, and nothing says which.
    """
    if named is not None:
        profile = choose_profile(named, pins, store)
        if not is_at(profile.endpoint, host_port):
            raise ProfileRefused(
                f"profile {profile.name} is of {profile.endpoint.name}, which is not at {host_port}"
            )
        return profile
    there = _there(host_port, pins, store)
    if not there:
        raise UnknownProfile(f"no profile that may be used here is at {host_port}")
    first = next((name for pinned in pins for name in pinned if name in there), None)
    if first is None and (store.default in there or len(there) == 1):
        first = store.default if store.default in there else there[0]
    if first is None:
        raise UnnamedProfile(
            f"several profiles are at {host_port}: {listed_names(there)}; make one the default, "
            "pin the client or the listener to one, or name it: /@NAME/… or X-Ovh-Proxy-Profile"
        )
    return store.profiles[first]


def _there(host_port: HostPort, pins: Pins, store: Store) -> list[str]:
    profiles = store.profiles
    return [
        name for name in allowed_names(profiles, pins) if is_at(profiles[name].endpoint, host_port)
    ]


def split_base(path: str, endpoint: Endpoint) -> tuple[str, str] | None:
    """A path on an endpoint's host as what is before the API's part of it, and that part.

    Returns:
        None where it is outside; the first is empty for OVHcloud's own endpoints.
    """
    base = urlsplit(endpoint.root).path
    behind = path.removeprefix(base)
    is_inside = path.startswith(base) and (not behind or behind.startswith("/"))
    return (base, behind) if is_inside else None


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
    prefix, rest = _split_prefix(target)
    if target.decoded_end(rest).startswith(OWN_PREFIX):
        raise UnknownRoute("paths under /-/ are the proxy's own and are not forwarded")
    named = prefix.removeprefix("/").removeprefix("@") if prefix else named
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
        decoded_path=target.decoded_end(path),
        prefix=prefix,
    )


def _below_base(path: str, endpoint: Endpoint) -> tuple[str, str]:
    split = split_base(path, endpoint)
    if split is None or (endpoint.is_versioned and _version_of(split[1]) is None):
        base = endpoint.root.partition("://")[2].partition("/")[2]
        begins = f"/{base}".rstrip("/") + ("/1.0/, /v1/ or /v2/" if endpoint.is_versioned else "/")
        raise UnknownRoute(f"on this host the paths of the API begin with {begins}")
    return split


def _split_prefix(target: Target) -> tuple[str, str]:
    """`/@name` as written, and what follows it."""
    path = target.path
    # Also where it is escaped: a name that is not known must not become the default profile.
    if not target.decoded.startswith("/@"):
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

    It is untouched unless it is absolute and leads into the same endpoint, or needs a prefix that
    the client's own URL has. Then only its start is replaced, and the rest stays byte for byte.

    Args:
        location: an absolute URL or a reference relative to the request's own URL.
        proxy_origin: scheme and authority by which the client reached us.
    """
    endpoint = route.profile.endpoint
    scheme, _, authority = endpoint.root.partition("://")
    start = proxy_origin
    if location.startswith("//"):
        path = _path_behind(endpoint.root, f"{scheme}:{location}")
    elif location.startswith("/"):
        path = _path_behind(endpoint.root, f"{scheme}://{authority.partition('/')[0]}{location}")
        start = ""
    else:
        path = _path_behind(endpoint.root, location)
    if path is None:
        return location
    if endpoint.is_versioned and not _version_of(path.partition("?")[0].partition("#")[0]):
        return location
    return f"{start}{route.prefix}{path}"


def _path_behind(root: str, url: str) -> str | None:
    """What a URL has behind the root of an endpoint, byte for byte; None where that is not its."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    # RFC 3986 section 6.2.3: host and scheme are case-insensitive, a default port says nothing.
    default = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
    origin = f"{scheme}://{authority.removesuffix(default)}".lower()
    whole = origin + slash + path
    return whole.removeprefix(root) if whole.startswith(root + "/") else None
