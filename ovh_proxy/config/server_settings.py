"""The server settings: what their file says, and the flags over it."""

from typing import Any

from ovh_proxy.config.documents import Document, read_document
from ovh_proxy.config.settings_fields import SETTINGS, has_clients
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import DEFAULT_LISTENERS, Address, Listener
from ovh_proxy.store.flags import read_flags
from ovh_proxy.store.locate import settings_path, state_directory
from ovh_proxy.store.parse import client_names, parse_settings


def load_listeners(sources: Sources) -> tuple[tuple[Listener, ...], Address | None]:
    """Where a proxy of these settings listens, and its admin listener; resolves no reference.

    Raises:
        ConfigurationError: every problem of the settings.
    """
    values, problems = read_settings(settings_document(sources), sources)
    if problems:
        raise ConfigurationError(problems)
    return values.get("listen", DEFAULT_LISTENERS), values.get("admin_listen")


def settings_document(sources: Sources) -> Document | None:
    """The file as it stands; None where there is none."""
    path = settings_path(sources)
    return None if path is None else read_document(path, SETTINGS, private=False)


def read_settings(
    config: Document | None,
    sources: Sources,
    profiles: frozenset[str] | None = None,
    *,
    is_versioned: bool = False,
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The fields of Settings besides the store, and what is wrong with them.

    Args:
        profiles: names that may be used; None when the store could not be read, or was not.
        is_versioned: whether paths of access rules have no `/1.0` before them.
    """
    tree = config.tree if config else None
    refuses_open = not (sources.allow_open or has_clients(tree))
    flags = read_flags(sources, refuses_open)
    if config is None:
        return flags.over({}), tuple(flags.problems)
    reading = config.reading(
        profiles=profiles,
        clients=client_names(tree),
        refuses_open=refuses_open and not sources.listen,
        is_versioned=is_versioned,
        listen=flags.listen,
        state=state_directory(sources),
    )
    values = parse_settings(tree, reading) if tree else {}
    return flags.over(values), (*config.all_problems(reading), *flags.problems)
