"""The settings of this moment: read, checked, reloaded when a file changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from ovh_proxy.config.documents import Document, files_of, read_document, resolve_documents
from ovh_proxy.config.server_settings import read_settings, settings_document
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import Settings, Store
from ovh_proxy.store.credentials import read_credentials
from ovh_proxy.store.locate import (
    SETTINGS_NAME,
    STORE_NAME,
    conf_files,
    places,
    settings_path,
    state_directory,
    store_path,
)
from ovh_proxy.store.stamps import Stamp, stamps_of
from ovh_proxy.store.store_fields import STORE


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What files, environment and flags said at one moment.

    Attributes:
        settings: None when there are problems.
        files: whatever a change of which may mean other settings, be it there or not, as it stood
            before it was read.
        variables: of the environment, that secrets are taken from.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    files: Mapping[str, Stamp]
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


def load(sources: Sources) -> LoadResult:
    """The same, or what is wrong with it, and the files that it depends on."""
    before = stamps_of(_named(sources))
    stored, config = _store_document(sources), settings_document(sources)
    names = _files(stored, config, sources)
    files = {name: before.get(name, now) for name, now in stamps_of(names).items()}
    stored, config = resolve_documents((stored, config), sources)
    credentials = read_credentials(stored, sources)
    values, problems = read_settings(
        config, sources, credentials.names, is_versioned=credentials.is_versioned
    )
    problems = (*credentials.problems, *problems)
    if credentials.store is None or problems:
        return LoadResult(None, problems, files)
    source = str(config.path) if config else None
    allow_open = sources.allow_open
    settings = Settings(
        store=credentials.store,
        source=source,
        allow_open=allow_open,
        state_directory=str(state_directory(sources)),
        **values,
    )
    return LoadResult(settings, (), files, _variables(stored, config))


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


def _store_document(sources: Sources) -> Document | None:
    path = store_path(sources)
    private = not sources.allow_loose_permissions
    return None if path is None else read_document(path, STORE, private)


def _named(sources: Sources) -> list[str]:
    """The files that are looked for, before any of them tells of others."""
    found = [path for path in (store_path(sources), settings_path(sources)) if path]
    for name in (STORE_NAME, SETTINGS_NAME):
        found += places(sources, name)
    found += (path for _, path in conf_files(sources))
    return [*map(str, found)]


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
