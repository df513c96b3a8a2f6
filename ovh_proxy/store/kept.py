"""What a store's text has, and where its consumer keys are kept, before any is resolved."""

from dataclasses import dataclass
from pathlib import Path

from ovh_proxy.config.documents import parse_store, profile_names
from ovh_proxy.config.nodes import Entries, Node, ParseContext
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import CommandFailed, ConfigurationError, Problem


@dataclass(frozen=True, slots=True)
class StoreContents:
    """A store's text, read by its own parser.

    Attributes:
        tree: None for an empty text.
        problems: all that is wrong with it but references that could not be resolved.
    """

    tree: Node | None
    problems: tuple[Problem, ...]
    reading: ParseContext

    def has(self, name: str, field: str | None = None) -> bool:
        """Whether a profile, or a field of it, is there."""
        match self.tree:
            case Entries(entries={"profiles": Entries(entries=profiles)}) if name in profiles:
                profile = profiles[name]
                return field is None or (isinstance(profile, Entries) and field in profile.entries)
        return False

    def check(self) -> None:
        """Lets a store pass that the other commands would take.

        Raises:
            ConfigurationError: every problem of it.
        """
        if self.problems:
            raise ConfigurationError(self.problems)


def read_store_contents(text: str, path: Path) -> StoreContents:
    """What a text has; nothing is resolved."""
    source = str(path)
    tree, problems = parse_yaml(text, source)
    reading = ParseContext(source, path.parent, profiles=profile_names(tree))
    if tree is not None:
        parse_store(tree, reading, ())
    return StoreContents(tree, (*problems, *reading.problems), reading)


def stored_consumer_key(text: str, path: Path, name: str) -> Reference | None:
    """Where a profile's consumer key is kept; None for the store itself, or where there is none.

    Raises:
        CommandFailed: there is no such profile.
        ConfigurationError: the store is none.
    """
    kept = read_store_contents(text, path)
    kept.check()
    if not kept.has(name):
        raise CommandFailed(f"{path} has no profile {name} any more")
    return kept.reading.references.get(("profiles", name, "consumer_key"))
