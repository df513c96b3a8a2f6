"""What two YAML texts say differently, whatever they look like."""

from collections.abc import Iterator

from ovh_proxy.config.nodes import Entries, Items, Node, Path, Scalar
from ovh_proxy.config.yaml_reader import parse_yaml


def differing(before: str, after: str) -> list[Path]:
    """The places of all values that are not in both, or not as the same text."""
    old, new = (dict(_leaves(parse_yaml(text, "")[0], ())) for text in (before, after))
    return [path for path in {**old, **new} if old.get(path) != new.get(path)]


def _leaves(node: Node | None, path: Path) -> Iterator[tuple[Path, tuple[str, bool]]]:
    match node:
        case Scalar(text=text, plain=plain):
            yield path, (text, plain)
        case Items(items=items):
            for index, item in enumerate(items):
                yield from _leaves(item, (*path, index))
        case Entries(entries=entries):
            for key, value in entries.items():
                yield from _leaves(value, (*path, key))
