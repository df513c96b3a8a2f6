"""One profile of the store, in whatever state its neighbours' secrets are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from ovh_proxy.config.documents import (
    Document,
    client_names,
    parse_settings,
    parse_store,
    profile_names,
    read_document,
    resolve_context_of,
)
from ovh_proxy.config.nodes import Path
from ovh_proxy.config.profile_fields import STORE
from ovh_proxy.config.secret_references import Reference, Unresolved, resolve_all
from ovh_proxy.config.settings_fields import SETTINGS
from ovh_proxy.config.sources import STORE_NAME, Sources, default_paths, settings_path, store_path
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store, Timeouts, Upstream


@dataclass(frozen=True, slots=True)
class UnresolvedStore:
    """A store before its secrets are resolved.

    Attributes:
        path: of the store, or of the one to be made.
        document: None if there is no store yet.
        names: of its profiles.
        default: name of the profile that is used if none is named, or None.
    """

    path: FilePath
    document: Document | None = None
    names: tuple[str, ...] = ()
    default: str | None = None

    def consumer_key_reference(self, name: str) -> Reference | None:
        """The reference to a profile's consumer key; None if the key is in the store itself."""
        references = self.document.references if self.document else {}
        return references.get(("profiles", name, "consumer_key"))


def open_unresolved_store(sources: Sources) -> UnresolvedStore:
    """The store that commands use.

    Raises:
        ConfigurationError: all problems except those of references.
    """
    path = store_path(sources)
    if path is None:
        return UnresolvedStore(default_paths(sources, STORE_NAME)[0])
    if not path.exists() and not path.is_symlink():
        return UnresolvedStore(path)
    document = read_document(path, STORE, private=not sources.allow_loose_permissions)
    if document.tree is not None and not profile_names(document.tree) and not document.problems:
        return UnresolvedStore(path)  # nothing but comments
    store = _parse(document, {})
    default = store.default_profile
    return UnresolvedStore(path, document, tuple(store.profiles), default.name if default else None)


def load_profile(unresolved: UnresolvedStore, name: str, sources: Sources) -> Profile:
    """A profile with its secrets; without a consumer key if its file does not exist yet.

    Raises:
        ConfigurationError: the problems of its references.
    """
    assert unresolved.document is not None
    path: Path = ("profiles", name, "consumer_key")
    found = _resolve_below(path[:2], unresolved.document, sources)
    is_missing = isinstance(found.get(path), Unresolved)
    if is_missing:
        del found[path]
    profile = _parse(unresolved.document, found).profiles[name]
    if is_missing and isinstance(profile.credential, ApplicationCredential):
        return replace(profile, credential=replace(profile.credential, consumer_key=None))
    return profile


def read_upstream(sources: Sources) -> tuple[Upstream, Timeouts]:
    """The upstream and timeouts of the server settings; resolves no other references of them.

    Raises:
        ConfigurationError: all problems of the settings.
    """
    path = settings_path(sources)
    if path is None:
        return Upstream(), Timeouts()
    document = read_document(path, SETTINGS, private=False)
    document = replace(document, secrets=_resolve_below(("upstream",), document, sources))
    context = document.context(clients=client_names(document.tree), refuses_open=False)
    values = parse_settings(document.tree, context) if document.tree else {}
    _raise_problems(tuple(document.all_problems(context)))
    return values.get("upstream", Upstream()), values.get("timeouts", Timeouts())


def _resolve_below(
    parent: Path, document: Document, sources: Sources
) -> dict[Path, Secret | Unresolved]:
    wanted = {
        path: (reference, resolve_context_of(document, sources))
        for path, reference in document.references.items()
        if path[: len(parent)] == parent
    }
    return dict(zip(wanted, resolve_all([*wanted.values()]), strict=True))


def _parse(document: Document, secrets: Mapping[Path, Secret | Unresolved]) -> Store:
    document = replace(document, secrets=secrets)
    context = document.context(profiles=profile_names(document.tree))
    store = parse_store(document.tree, context, ()) if document.tree else None
    _raise_problems(tuple(document.all_problems(context)))
    assert store is not None, "a store that could not be read has problems"
    return store


def _raise_problems(problems: tuple[Problem, ...]) -> None:
    if problems:
        raise ConfigurationError(problems)
