"""Which profile a request is made as."""

from collections.abc import Iterable, Mapping

from ovh_proxy.core.errors import ProfileRefused, UnknownProfile, UnnamedProfile
from ovh_proxy.core.settings import Profile, Store

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
