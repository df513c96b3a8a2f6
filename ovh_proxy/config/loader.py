"""Files, environment and flags to Settings, or every problem found and where."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ovh_proxy.config.documents import (
    Document,
    files_of,
    parse_store,
    profile_names,
    read_document,
    resolve_documents,
)
from ovh_proxy.config.files import Stamp, stamps_of
from ovh_proxy.config.profile_fields import STORE
from ovh_proxy.config.secret_references import quoted_variables
from ovh_proxy.config.server_settings import profile_problems, read_settings, settings_document
from ovh_proxy.config.sources import (
    SETTINGS_NAME,
    STORE_NAME,
    Sources,
    conf_files,
    default_paths,
    settings_path,
    state_directory,
    store_path,
)
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import Settings, Store


@dataclass(frozen=True, slots=True)
class LoadedStore:
    """The store, or its problems.

    Attributes:
        store: None if there are problems.
        names: of all profiles, including those with problems; None if they could not be read.
    """

    store: Store | None
    names: frozenset[str] | None
    problems: tuple[Problem, ...] = ()

    @property
    def is_versioned(self) -> bool:
        """Whether the endpoints of all profiles have versions, such as `/1.0` and `/v2`."""
        profiles = self.store.profiles.values() if self.store else ()
        return bool(profiles) and all(profile.endpoint.is_versioned for profile in profiles)


def read_credentials(document: Document | None, sources: Sources) -> LoadedStore:
    """The store of a file or, without one, of the SDKs' configuration.

    Args:
        document: with its secrets resolved.
    """
    found = _from_sdks(sources) if document is None else _from_file(document, sources)
    if sources.profile is None or found.names is None:
        return found
    problems = profile_problems(sources.profile, found.names)
    if found.store is None or problems:
        return LoadedStore(None, found.names, (*found.problems, *problems))
    return replace(found, store=replace(found.store, default=sources.profile))


def _from_file(document: Document, sources: Sources) -> LoadedStore:
    tree = document.tree
    if tree is None:
        return LoadedStore(None, None, document.problems)
    names = profile_names(tree)
    context = document.context(profiles=names)
    store = parse_store(tree, context, files_of(document, sources))
    problems = tuple(document.all_problems(context))
    if store is not None:
        warnings = quoted_variables(document.references.values(), sources.environ)
        store = replace(store, warnings=warnings)
    return LoadedStore(None if problems else store, names, problems)


def _from_sdks(sources: Sources) -> LoadedStore:
    # Imported here: not needed with a store.
    from ovh_proxy.config.sdk_config import read_sdk_configuration, sdk_store

    store, problems = sdk_store(read_sdk_configuration(sources))
    if store is not None:
        return LoadedStore(store, frozenset(store.profiles))
    return LoadedStore(None, None, tuple(problems) or (_nothing_found(sources),))


def _nothing_found(sources: Sources) -> Problem:
    looked = [
        *map(str, default_paths(sources, STORE_NAME)),
        *(name for name, _ in conf_files(sources)),
    ]
    message = (
        f"not found in {', '.join(looked)} or OVH_*; run `ovh-proxy login` or `ovh-proxy import`, "
        "or copy config/credentials.example.yaml to the first of these paths; `ovh-proxy demo` "
        "needs no credentials"
    )
    return Problem("credentials", 0, "", message)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The settings of files, environment and flags at one time, or their problems.

    Attributes:
        settings: None if there are problems.
        files: the files whose change may change the settings, existing or not, with their stamps
            from before they were read.
        variables: environment variables that secrets are taken from.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    files: Mapping[str, Stamp]
    variables: tuple[str, ...] = ()


def load_settings(sources: Sources) -> Settings:
    """The settings of files, environment and flags; blocks while references are resolved.

    Raises:
        ConfigurationError: all problems.
    """
    loaded = load(sources)
    if loaded.settings is None:
        raise ConfigurationError(loaded.problems)
    return loaded.settings


def load(sources: Sources) -> LoadResult:
    """The settings or their problems, and the files they depend on; blocks like load_settings."""
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
        ConfigurationError: all problems.
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
    """The files that are searched, without those that they refer to."""
    found = [path for path in (store_path(sources), settings_path(sources)) if path]
    for name in (STORE_NAME, SETTINGS_NAME):
        found += default_paths(sources, name)
    found += (path for _, path in conf_files(sources))
    return [*map(str, found)]


def _files(stored: Document | None, config: Document | None, sources: Sources) -> tuple[str, ...]:
    # A file that does not exist may be created later.
    looked: list[str] = []
    if stored is None:
        looked += map(str, default_paths(sources, STORE_NAME))
        looked += (str(path) for _, path in conf_files(sources))
    if config is None:
        looked += map(str, default_paths(sources, SETTINGS_NAME))
    found = [name for one in (stored, config) if one for name in files_of(one, sources)]
    return tuple(dict.fromkeys((*found, *looked)))


def _variables(*documents: Document | None) -> tuple[str, ...]:
    references = [r for document in documents if document for r in document.references.values()]
    return tuple(r.arguments[0] for r in references if r.kind == "env")
