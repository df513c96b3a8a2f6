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
from ovh_proxy.config.sources import STORE_NAME, Sources, places, settings_path, store_path
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store, Timeouts, Upstream


@dataclass(frozen=True, slots=True)
class UnresolvedStore:
    """A store before any of its secrets is resolved.

    Attributes:
        path: where it is, or where a first one goes.
        document: None where there is no store yet.
        names: of its profiles.
        default: the name of the profile that is used when none is named, or None.
    """

    path: FilePath
    document: Document | None = None
    names: tuple[str, ...] = ()
    default: str | None = None

    def kept(self, name: str) -> Reference | None:
        """Where a profile's consumer key is kept; None for the store itself."""
        references = self.document.references if self.document else {}
        return references.get(("profiles", name, "consumer_key"))


def open_unresolved_store(sources: Sources) -> UnresolvedStore:
    """The store that commands would use.

    Raises:
        ConfigurationError: every problem of it but references.
    """
    path = store_path(sources)
    if path is None:
        return UnresolvedStore(places(sources, STORE_NAME)[0])
    if not path.exists() and not path.is_symlink():
        return UnresolvedStore(path)
    document = read_document(path, STORE, private=not sources.allow_loose_permissions)
    if document.tree is not None and not profile_names(document.tree) and not document.problems:
        return UnresolvedStore(path)  # nothing but comments
    store = _parse(document, {})
    default = store.default_profile
    return UnresolvedStore(path, document, tuple(store.profiles), default.name if default else None)


def take_profile(unresolved: UnresolvedStore, name: str, sources: Sources) -> Profile:
    """A profile with its secrets; without a consumer key where its file is not there yet.

    Raises:
        ConfigurationError: what is wrong with its references.
    """
    assert unresolved.document is not None
    cursor: Path = ("profiles", name, "consumer_key")
    found = _resolve_below(cursor[:2], unresolved.document, sources)
    is_missing = isinstance(found.get(cursor), Unresolved)
    if is_missing:
        del found[cursor]
    profile = _parse(unresolved.document, found).profiles[name]
    if is_missing and isinstance(profile.credential, ApplicationCredential):
        return replace(profile, credential=replace(profile.credential, consumer_key=None))
    return profile


def read_upstream(sources: Sources) -> tuple[Upstream, Timeouts]:
    """How OVHcloud is reached, by the server settings; no other reference of theirs is resolved.

    Raises:
        ConfigurationError: every problem of the settings.
    """
    path = settings_path(sources)
    if path is None:
        return Upstream(), Timeouts()
    document = read_document(path, SETTINGS, private=False)
    document = replace(document, secrets=_resolve_below(("upstream",), document, sources))
    reading = document.reading(clients=client_names(document.tree), refuses_open=False)
    values = parse_settings(document.tree, reading) if document.tree else {}
    _refuse(tuple(document.all_problems(reading)))
    return values.get("upstream", Upstream()), values.get("timeouts", Timeouts())


def _resolve_below(
    cursor: Path, document: Document, sources: Sources
) -> dict[Path, Secret | Unresolved]:
    wanted = {
        path: (reference, resolve_context_of(document, sources))
        for path, reference in document.references.items()
        if path[: len(cursor)] == cursor
    }
    return dict(zip(wanted, resolve_all([*wanted.values()]), strict=True))


def _parse(document: Document, secrets: Mapping[Path, Secret | Unresolved]) -> Store:
    document = replace(document, secrets=secrets)
    reading = document.reading(profiles=profile_names(document.tree))
    store = parse_store(document.tree, reading, ()) if document.tree else None
    _refuse(tuple(document.all_problems(reading)))
    assert store is not None, "a store that could not be read has problems"
    return store


def _refuse(problems: tuple[Problem, ...]) -> None:
    if problems:
        raise ConfigurationError(problems)
