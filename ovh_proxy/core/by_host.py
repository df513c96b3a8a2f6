"""Which profile serves a request that was made to the host of an endpoint itself.

Its path means that path on that host, and nothing else: `/1.0/me`, `/v1/…` and `/v2/…` cross as
they stand. What has no version there (`/me`, `/console/`, the proxy's own `/-/…`) is not of the
API, so that no call is made of it: a client that was written for OVHcloud asks for nothing else.
"""

from urllib.parse import urlsplit

from ovh_proxy.core.choice import Pins, allowed_names, choose_profile, listed_names
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import ProfileRefused, UnknownProfile, UnnamedProfile
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.policy.hosts import HostPort, is_at


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
