"""Plain YAML data to Settings, or every problem found and where."""

from types import MappingProxyType
from typing import Any

from ovh_proxy.config.nodes import NodeCursor, ParseContext
from ovh_proxy.config.settings_fields import SETTINGS
from ovh_proxy.core.settings import Store
from ovh_proxy.store.nodes import Entries, Items, Node, Scalar
from ovh_proxy.store.store_fields import STORE


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
