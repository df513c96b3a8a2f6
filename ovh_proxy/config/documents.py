"""A YAML file as far as it can be read: its tree, its values, the secrets that it points at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.nodes import Entries, Items, Node, NodeCursor, ParseContext, Path, Scalar
from ovh_proxy.config.profile_fields import STORE
from ovh_proxy.config.secret_references import (
    Reference,
    ResolveContext,
    Unresolved,
    file_path,
    resolve_all,
)
from ovh_proxy.config.settings_fields import SETTINGS
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Store


def parse_store(tree: Node, context: ParseContext, files: tuple[str, ...]) -> Store | None:
    """The store of a file; None if there are problems, which are in the context."""
    for values in NodeCursor(tree, (), context).attempt(STORE.read):
        profiles = MappingProxyType(values["profiles"])
        return Store(profiles, values.get("default"), context.source, files)
    return None


def parse_settings(tree: Node, context: ParseContext) -> dict[str, Any]:
    """The fields of Settings that a file sets; problems are in the context."""
    for values in NodeCursor(tree, (), context).attempt(SETTINGS.read):
        return values
    return {}


def profile_names(tree: Node | None) -> frozenset[str] | None:
    """The names of a store's profiles, valid or not; None if there is no mapping of profiles."""
    match tree:
        case Entries(entries={"profiles": Entries(entries=profiles)}):
            return frozenset(profiles)
    return None


def client_names(tree: Node | None) -> frozenset[str]:
    """The names of the clients in the settings, valid or not."""
    match tree:
        case Entries(entries={"clients": Items(items=clients)}):
            names = [
                client.entries.get("name") for client in clients if isinstance(client, Entries)
            ]
            return frozenset(name.text for name in names if isinstance(name, Scalar))
    return frozenset()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        tree: its values; None if it could not be read.
        problems: those of the file and of its YAML.
        references: its references to secrets, by path.
        secrets: of the references, once resolved.
    """

    path: FilePath
    tree: Node | None
    problems: tuple[Problem, ...]
    references: Mapping[Path, Reference] = field(default_factory=dict)
    secrets: Mapping[Path, Secret | Unresolved] = field(default_factory=dict)

    def context(self, **held: Any) -> ParseContext:
        """The context of a pass over this file."""
        return ParseContext(str(self.path), self.path.parent, self.secrets, **held)

    def all_problems(self, context: ParseContext) -> list[Problem]:
        """The problems of the file and of a pass over it, by line."""
        return sorted((*self.problems, *context.problems), key=lambda problem: problem.line)


def read_document(path: FilePath, field_type: FieldType[Any], private: bool) -> Document:
    """The one document of a file.

    Args:
        field_type: of the whole document; finds the references in it.
        private: whether a file that others may read is rejected.
    """
    source = str(path)
    try:
        text = read_text(source, private=private)
    except Unreadable as failure:
        return Document(path, None, (Problem(source, 0, "", str(failure)),))
    # Imported here: not needed if all settings come from flags and variables.
    from ovh_proxy.config.yaml_reader import parse_yaml

    tree, problems = parse_yaml(text, source)
    if tree is None and problems:
        return Document(path, None, tuple(problems))
    tree = tree or Entries({}, {}, line=0)  # nothing but comments
    first_pass = ParseContext(source, path.parent)
    NodeCursor(tree, (), first_pass).attempt(field_type.read)
    return Document(path, tree, tuple(problems), first_pass.references)


def resolve_documents(
    documents: Sequence[Document | None], sources: Sources
) -> Iterator[Document | None]:
    """The documents with their secrets, which are all resolved at once."""
    wanted = [
        (reference, resolve_context_of(document, sources))
        for document in documents
        if document
        for reference in document.references.values()
    ]
    found = iter(resolve_all(wanted))
    for document in documents:
        yield document and replace(
            document, secrets={path: next(found) for path in document.references}
        )


def resolve_context_of(document: Document, sources: Sources) -> ResolveContext:
    """The context that the references of a file are resolved in."""
    return ResolveContext(
        environ=sources.environ,
        home=sources.home,
        directory=document.path.parent,
        allow_loose_permissions=sources.allow_loose_permissions,
        command_limit_s=sources.command_limit_s,
    )


def files_of(document: Document, sources: Sources) -> tuple[str, ...]:
    """The absolute paths of a document and of the files that it refers to."""
    context = resolve_context_of(document, sources)
    references = document.references.values()
    named = [file_path(r.arguments[0], context) for r in references if r.kind == "file"]
    return tuple(dict.fromkeys((str(document.path), *named)))
