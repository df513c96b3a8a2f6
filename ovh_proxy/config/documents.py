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


def parse_store(tree: Node, reading: ParseContext, files: tuple[str, ...]) -> Store | None:
    """The store of a file; None when there are problems, which the reading has then."""
    for values in NodeCursor(tree, (), reading).attempt(STORE.read):
        profiles = MappingProxyType(values["profiles"])
        return Store(profiles, values.get("default"), reading.source, files)
    return None


def parse_settings(tree: Node, reading: ParseContext) -> dict[str, Any]:
    """The fields of Settings that a file gives; what could not be read is in its problems."""
    for values in NodeCursor(tree, (), reading).attempt(SETTINGS.read):
        return values
    return {}


def profile_names(tree: Node | None) -> frozenset[str] | None:
    """The names of a store's profiles, be they well or badly written; None when there are none."""
    match tree:
        case Entries(entries={"profiles": Entries(entries=profiles)}):
            return frozenset(profiles)
    return None


def client_names(tree: Node | None) -> frozenset[str]:
    """The names of the clients in the settings, be they well or badly written."""
    match tree:
        case Entries(entries={"clients": Items(items=clients)}):
            return frozenset(name for client in clients for name in _names(client))
    return frozenset()


def _names(client: Node) -> tuple[str, ...]:
    match client:
        case Entries(entries={"name": Scalar(text=name)}):
            return (name,)
    return ()


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        tree: its values; None when there are none.
        problems: what is wrong with it as a file and as YAML.
        references: where it points at secrets.
        secrets: what these stand for, once resolved.
    """

    path: FilePath
    tree: Node | None
    problems: tuple[Problem, ...]
    references: Mapping[Path, Reference] = field(default_factory=dict)
    secrets: Mapping[Path, Secret | Unresolved] = field(default_factory=dict)

    def reading(self, **held: Any) -> ParseContext:
        """A pass over this file."""
        return ParseContext(str(self.path), self.path.parent, self.secrets, **held)

    def all_problems(self, reading: ParseContext) -> list[Problem]:
        """Its own and those of a reading, in the order of its lines."""
        return sorted((*self.problems, *reading.problems), key=lambda problem: problem.line)


def read_document(path: FilePath, field_type: FieldType[Any], private: bool) -> Document:
    """The one document of a file.

    Args:
        field_type: what it should look like; finds the references in it.
        private: whether a file that others may read is refused.
    """
    source = str(path)
    try:
        text = read_text(source, private=private)
    except Unreadable as failure:
        return Document(path, None, (Problem(source, 0, "", str(failure)),))
    # Imported here: where flags and variables say all, there is no file to read.
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
    """The documents with the secrets that they point at; all of them are asked for at once."""
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
    """What a file's references are resolved in."""
    return ResolveContext(
        environ=sources.environ,
        home=sources.home,
        directory=document.path.parent,
        allow_loose_permissions=sources.allow_loose_permissions,
        command_limit_s=sources.command_limit_s,
    )


def files_of(document: Document, sources: Sources) -> tuple[str, ...]:
    """The files that it depends on, by absolute path: itself and those it refers to."""
    context = resolve_context_of(document, sources)
    references = document.references.values()
    named = [file_path(r.arguments[0], context) for r in references if r.kind == "file"]
    return tuple(dict.fromkeys((str(document.path), *named)))
