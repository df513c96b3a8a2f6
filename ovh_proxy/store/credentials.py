"""The credential store of this moment: its file, or else the SDKs' own configuration."""

from dataclasses import dataclass, replace

from ovh_proxy.config.documents import Document, files_of
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import Store
from ovh_proxy.store.flags import profile_problems
from ovh_proxy.store.locate import STORE_NAME, conf_files, places
from ovh_proxy.store.parse import parse_store, profile_names


@dataclass(frozen=True, slots=True)
class LoadedStore:
    """The store as far as it could be read.

    Attributes:
        store: None when there are problems.
        names: its profiles', those with problems too; None when they could not be read.
    """

    store: Store | None
    names: frozenset[str] | None
    problems: tuple[Problem, ...] = ()

    @property
    def is_versioned(self) -> bool:
        """Whether all profiles' endpoints have versions beside each other."""
        profiles = self.store.profiles.values() if self.store else ()
        return bool(profiles) and all(profile.endpoint.is_versioned for profile in profiles)


def read_credentials(document: Document | None, sources: Sources) -> LoadedStore:
    """The store of a file, or of the SDKs' configuration where there is none.

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
    reading = document.reading(profiles=names)
    store = parse_store(tree, reading, files_of(document, sources))
    problems = tuple(document.all_problems(reading))
    return LoadedStore(None if problems else store, names, problems)


def _from_sdks(sources: Sources) -> LoadedStore:
    # Imported here: whoever has a store needs none of it.
    from ovh_proxy.config.sdk_config import read_sdk_configuration
    from ovh_proxy.store.sdk_profiles import sdk_store

    store, problems = sdk_store(read_sdk_configuration(sources))
    if store is not None:
        return LoadedStore(store, frozenset(store.profiles))
    return LoadedStore(None, None, tuple(problems) or (_nothing_found(sources),))


def _nothing_found(sources: Sources) -> Problem:
    looked = [*map(str, places(sources, STORE_NAME)), *(name for name, _ in conf_files(sources))]
    told = (
        f"none found in {', '.join(looked)} or OVH_*; make some with `ovh-proxy login` or "
        "`ovh-proxy import`, or copy config/credentials.example.yaml to the first of these; "
        "`ovh-proxy demo` needs none"
    )
    return Problem("credentials", 0, "", told)
