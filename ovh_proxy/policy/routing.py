"""Where a request goes: its profile, and the upstream URL that its target means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import ProfileRefused, UnknownProfile, UnknownRoute, UnnamedProfile
from ovh_proxy.core.redaction import alternatives, quoted, unknown
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.core.target import Target, version_of
from ovh_proxy.policy.hosts import HostPort, is_at

Pins = tuple[tuple[str, ...], ...]
"""The profiles that the listener allows, then those that the client may use; empty is any."""


def choose_profile(named: str | None, pins: Pins, store: Store) -> Profile:
    """The named profile, else the first pinned one, else the store's default.

    Raises:
        UnknownProfile, ProfileRefused, UnnamedProfile: no profile to use.
    """
    chosen = named
    if chosen is None:
        chosen = next((pinned[0] for pinned in pins if pinned), None)
    if chosen is None:
        profile = store.default_profile
        if profile is None:
            raise UnnamedProfile(
                f"no default profile; name {alternatives(store.profiles)} by /@NAME/… or "
                "X-Ovh-Proxy-Profile"
                if store.profiles
                else "there are no profiles; run: ovh-proxy login"
            )
        return profile
    # Checks the pins before the store, so that a pinned client cannot discover other names.
    if not _is_allowed(chosen, pins):
        raise ProfileRefused(
            "this client may not use the listener's first profile; name another"
            if named is None
            else f"this listener or client may not use profile {quoted(named)}"
        )
    if chosen not in store.profiles:
        raise UnknownProfile(unknown("profile", chosen, allowed_names(store.profiles, pins)))
    return store.profiles[chosen]


def allowed_names(profiles: Mapping[str, Profile], pins: Pins) -> list[str]:
    """The profiles that the pins allow, in the order of the store."""
    return [name for name in profiles if _is_allowed(name, pins)]


def _is_allowed(name: str, pins: Pins) -> bool:
    return all(not pinned or name in pinned for pinned in pins)


def profile_at(host_port: HostPort, named: str | None, pins: Pins, store: Store) -> Profile:
    """The named profile; else, of the profiles at the host, the first of the listener's or
    client's, else the store's default, else the only one.

    Raises:
        ProfileRefused: the named profile has another endpoint, or a pin excludes it.
        UnknownProfile: no profile is at the host, or none has that name.
        UnnamedProfile: several profiles are at the host, and none is preferred.
    """
    if named is not None:
        profile = choose_profile(named, pins, store)
        if not is_at(profile.endpoint, host_port):
            raise ProfileRefused(
                f"profile {profile.name} belongs to {profile.endpoint.name}, not to {host_port}"
            )
        return profile
    there = _names_at(host_port, pins, store)
    if not there:
        raise UnknownProfile(f"no profile that you may use belongs to {host_port}")
    first = next((name for pinned in pins for name in pinned if name in there), None)
    if first is None and (store.default in there or len(there) == 1):
        first = store.default if store.default in there else there[0]
    if first is None:
        raise UnnamedProfile(
            f"several profiles belong to {host_port}: {', '.join(there)}; make one the default, "
            "restrict the client or the listener to one, or name one by /@NAME/… or "
            "X-Ovh-Proxy-Profile"
        )
    return store.profiles[first]


def _names_at(host_port: HostPort, pins: Pins, store: Store) -> list[str]:
    profiles = store.profiles
    return [
        name for name in allowed_names(profiles, pins) if is_at(profiles[name].endpoint, host_port)
    ]


_OWN_PREFIX = "/-/"


def is_own(path: str) -> bool:
    """Whether a path as written is under the proxy's own routes."""
    return path.startswith(_OWN_PREFIX)


@dataclass(frozen=True, slots=True)
class Route:
    """Where one request goes.

    Attributes:
        upstream_url: signed and sent unchanged.
        path: matched against the access rules: without the version for 1.0 and v1, with it for v2.
        decoded_path: the same, fully decoded.
        prefix: the part before the API's path in the client's URL: `/@name` as written, then the
            path of the endpoint's root if the request names its host; mostly empty.
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
        named: the value of `X-Ovh-Proxy-Profile`.
        host_port: the endpoint's own host, if the request names it.

    Raises:
        UnknownProfile, ProfileRefused, UnnamedProfile: no profile to use.
        UnknownRoute: the path, raw or decoded, is the proxy's own, or it is outside the API.
    """
    prefix, rest = _split_prefix(target)
    if target.decoded_end(rest).startswith(_OWN_PREFIX):
        raise UnknownRoute("unknown path under /-/: these are the proxy's own and not forwarded")
    named = prefix.removeprefix("/").removeprefix("@") if prefix else named
    if host_port is None:
        profile = choose_profile(named, pins, store)
    else:
        profile = profile_at(host_port, named, pins, store)
        base, rest = _split_api_path(rest, profile.endpoint)
        prefix += base
    path = _rule_path(rest, profile.endpoint)
    return Route(
        profile=profile,
        upstream_url=_upstream_path(rest, profile.endpoint) + target.query,
        path=path,
        decoded_path=target.decoded_end(path),
        prefix=prefix,
    )


def _split_api_path(path: str, endpoint: Endpoint) -> tuple[str, str]:
    """A path on an endpoint's host, split into the path of the API's root and the rest."""
    root = urlsplit(endpoint.root).path  # empty at OVHcloud's own endpoints
    rest = path.removeprefix(root)
    is_api = version_of(rest) if endpoint.is_versioned else not rest or rest.startswith("/")
    if not path.startswith(root) or not is_api:
        start = root + ("/1.0/, /v1/ or /v2/" if endpoint.is_versioned else "/")
        raise UnknownRoute(
            f"path {quoted(path)} is outside the API; on this host, paths start with {start}"
        )
    return root, rest


def _split_prefix(target: Target) -> tuple[str, str]:
    """`/@name` as written, and the path after it."""
    path = target.path
    # Also if the @ is escaped: such a path must never be signed by the default profile.
    if not target.decoded.startswith("/@"):
        return "", path
    end = path.find("/", 2)
    return (path, "/") if end < 0 else (path[:end], path[end:])


def _upstream_path(path: str, endpoint: Endpoint) -> str:
    # As in python-ovh and go-ovh: a version in the path replaces the /1.0 of the base URL.
    if endpoint.is_versioned and version_of(path):
        return endpoint.root + path
    return endpoint.base_url + path


def _rule_path(path: str, endpoint: Endpoint) -> str:
    version = version_of(path) if endpoint.is_versioned else ""
    return (path if version == "/v2" else path.removeprefix(version)) or "/"


def local_location(location: str, route: Route, proxy_origin: str) -> str:
    """The `Location` of a response, as the client has to follow it.

    It is unchanged unless it is absolute and leads into the same endpoint, or needs the prefix of
    the client's own URL. Then only its start is replaced; the rest stays byte for byte.

    Args:
        location: an absolute URL, or a reference relative to the upstream URL.
        proxy_origin: scheme and authority of the proxy in the client's URL.
    """
    endpoint = route.profile.endpoint
    scheme, _, authority = endpoint.root.partition("://")
    start = proxy_origin
    if location.startswith("//"):
        path = _path_below(endpoint.root, f"{scheme}:{location}")
    elif location.startswith("/"):
        path = _path_below(endpoint.root, f"{scheme}://{authority.partition('/')[0]}{location}")
        start = ""
    else:
        path = _path_below(endpoint.root, location)
    if path is None:
        return location
    if endpoint.is_versioned and not version_of(path.partition("?")[0].partition("#")[0]):
        return location
    return f"{start}{route.prefix}{path}"


def _path_below(root: str, url: str) -> str | None:
    """The part of a URL after an endpoint's root, byte for byte; None if it is not below it."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    # RFC 3986 section 6.2.3: host and scheme are case-insensitive, and a default port is optional.
    default = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
    origin = f"{scheme}://{authority.removesuffix(default)}".lower()
    whole = origin + slash + path
    return whole.removeprefix(root) if whole.startswith(root + "/") else None
