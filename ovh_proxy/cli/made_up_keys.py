"""`--made-up-keys`: for clients that take no URL and no token."""

from collections.abc import Callable
from typing import Any, TypeVar

from ovh_proxy.cli.options import option
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import Store

F = TypeVar("F", bound=Callable[..., Any])


def made_up_keys_option(command: str) -> Callable[[F], F]:
    """The flag, for a command."""
    return option(
        "--made-up-keys",
        "For clients that take no URL and no token: OVH_ENDPOINT is a name, such as ovh-eu, and "
        "OVH_APPLICATION_KEY and its like are made up.",
        command,
        is_flag=True,
    )


def endpoint_name(store: Store, profile: str | None) -> str | None:
    """The name by which clients know the endpoint of a profile; None for one with a base URL.

    Args:
        profile: by its name; None is that of a request that names none.

    Raises:
        UsageError: there is no such profile.
    """
    found = store.profiles.get(profile) if profile else store.default_profile
    if found is None:
        raise UsageError("--made-up-keys needs a profile, whose endpoint is named: say --profile")
    return found.endpoint.name if found.endpoint.name in ENDPOINTS else None
