"""The settings of this moment: read, checked, reloaded when a file changes."""

from dataclasses import dataclass
from typing import Any

from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import DEFAULT_LISTENERS, Address, Listener, Settings, Store
from ovh_proxy.store.credentials import Credentials, read_credentials
from ovh_proxy.store.documents import Document, files_of, read_document, resolve_documents
from ovh_proxy.store.flags import read_flags
from ovh_proxy.store.locate import SETTINGS_NAME, STORE_NAME, places, settings_path, store_path
from ovh_proxy.store.ovh_conf import conf_files
from ovh_proxy.store.parse import client_names, parse_settings
from ovh_proxy.store.settings_fields import SETTINGS, has_clients
from ovh_proxy.store.sources import Sources
from ovh_proxy.store.store_fields import STORE

__all__ = [
    "LiveSettings",
    "Loaded",
    "Sources",
    "load",
    "load_listeners",
    "load_settings",
    "load_store",
]


class LiveSettings:
    """Whoever needs the settings asks here, once a request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def current(self) -> Settings:
        return self._settings

    def replace(self, settings: Settings) -> None:
        """Gives these to whoever asks from now on; requests under way keep what they have."""
        self._settings = settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """What files, environment and flags said at one moment.

    Attributes:
        settings: None when there are problems.
        files: whatever a change of which may mean other settings, be it there or not.
        variables: of the environment, that secrets are taken from.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    files: tuple[str, ...]
    variables: tuple[str, ...] = ()


def load_settings(sources: Sources) -> Settings:
    """All that files, environment and flags say; blocks while references are resolved.

    Raises:
        ConfigurationError: every problem of all of them.
    """
    loaded = load(sources)
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    return loaded.settings


def load(sources: Sources) -> Loaded:
    """The same, or what is wrong with it, and the files that it depends on."""
    stored, config = _store_document(sources), _settings_document(sources)
    files = _files(stored, config, sources)
    stored, config = resolve_documents((stored, config), sources)
    credentials = read_credentials(stored, sources)
    values, problems = _read_settings(config, credentials, sources)
    problems = (*credentials.problems, *problems)
    if credentials.store is None or problems:
        return Loaded(None, problems, files)
    source = str(config.path) if config else None
    allow_open = sources.allow_open
    settings = Settings(store=credentials.store, source=source, allow_open=allow_open, **values)
    return Loaded(settings, (), files, _variables(stored, config))


def load_store(sources: Sources) -> Store:
    """The credential store alone; blocks while references are resolved.

    Raises:
        ConfigurationError: every problem of it.
    """
    (stored,) = resolve_documents((_store_document(sources),), sources)
    credentials = read_credentials(stored, sources)
    if credentials.store is None:
        raise ConfigurationError(credentials.problems)
    return credentials.store


def load_listeners(sources: Sources) -> tuple[tuple[Listener, ...], Address | None]:
    """Where a proxy of these settings listens, and its admin listener; resolves no reference.

    Raises:
        ConfigurationError: every problem of the settings.
    """
    config = _settings_document(sources)
    values, problems = _read_settings(config, Credentials(None, None), sources)
    if problems:
        raise ConfigurationError(problems)
    return values.get("listen", DEFAULT_LISTENERS), values.get("admin_listen")


def _store_document(sources: Sources) -> Document | None:
    path = store_path(sources)
    private = not sources.allow_loose_permissions
    return None if path is None else read_document(path, STORE, private)


def _settings_document(sources: Sources) -> Document | None:
    path = settings_path(sources)
    return None if path is None else read_document(path, SETTINGS, private=False)


def _files(stored: Document | None, config: Document | None, sources: Sources) -> tuple[str, ...]:
    # Where there is no file yet, one may come.
    looked: list[str] = []
    if stored is None:
        looked += map(str, places(sources, STORE_NAME))
        looked += (str(path) for _, path in conf_files(sources))
    if config is None:
        looked += map(str, places(sources, SETTINGS_NAME))
    found = [name for one in (stored, config) if one for name in files_of(one, sources)]
    return tuple(dict.fromkeys((*found, *looked)))


def _variables(*documents: Document | None) -> tuple[str, ...]:
    references = [r for document in documents if document for r in document.references.values()]
    return tuple(r.arguments[0] for r in references if r.kind == "env")


def _read_settings(
    config: Document | None, credentials: Credentials, sources: Sources
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The fields of Settings besides the store, and what is wrong with them."""
    tree = config.tree if config else None
    refuses_open = not (sources.allow_open or has_clients(tree))
    flags = read_flags(sources, refuses_open)
    if config is None:
        return flags.over({}), tuple(flags.problems)
    reading = config.reading(
        profiles=credentials.names,
        clients=client_names(tree),
        refuses_open=refuses_open and not sources.listen,
        is_versioned=credentials.is_versioned,
        listen=flags.listen,
    )
    values = parse_settings(tree, reading) if tree else {}
    return flags.over(values), (*config.all_problems(reading), *flags.problems)
