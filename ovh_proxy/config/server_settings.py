"""The server settings: what their file says, and the flags over it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ovh_proxy.config.documents import Document, client_names, parse_settings, read_document
from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.listener_fields import ADMIN_ADDRESS, LISTENER
from ovh_proxy.config.nodes import NodeCursor, ParseContext, Scalar, suggestion
from ovh_proxy.config.settings_fields import (
    DRAIN_DELAY,
    FORMAT,
    LEVEL,
    SETTINGS,
    WORKERS,
    has_clients,
)
from ovh_proxy.config.sources import Sources, settings_path, state_directory
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import DEFAULT_LISTENERS, Address, Listener, LogSettings, Timeouts

# Each flag with the field of Settings that it sets, and the part of it where it has parts.
_FLAGS: tuple[tuple[str, str, str, FieldType[Any]], ...] = (
    ("admin_listen", "", "admin_listen", ADMIN_ADDRESS),
    ("workers", "", "workers", WORKERS),
    ("drain_delay", "timeouts", "drain_delay_s", DRAIN_DELAY),
    ("log_level", "log", "level", LEVEL),
    ("log_format", "log", "format", FORMAT),
)


@dataclass(slots=True)
class Flags:
    """Fields of Settings that flags give, those of its parts by the part's name."""

    listen: tuple[Listener, ...] = ()
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def over(self, values: dict[str, Any]) -> dict[str, Any]:
        """The fields of Settings with what the flags say in the place of what the file says."""
        timeouts = replace(values.get("timeouts", Timeouts()), **self.fields.get("timeouts", {}))
        log = replace(values.get("log", LogSettings()), **self.fields.get("log", {}))
        listen = {"listen": self.listen} if self.listen else {}
        return values | self.fields.get("", {}) | listen | {"timeouts": timeouts, "log": log}


def read_flags(sources: Sources, refuses_open: bool) -> Flags:
    """What the flags say, and what is wrong with it.

    Args:
        refuses_open: whether a listener that other machines reach is refused.
    """
    flags = Flags()
    for flag, part, name, field_type in _FLAGS:
        given = getattr(sources, flag)
        if given is not None:
            for value in _cursor(flag, given, flags).attempt(field_type.read):
                flags.fields.setdefault(part, {})[name] = value
    for given in sources.listen:
        flags.listen += _cursor("listen", given, flags, refuses_open).attempt(LISTENER.read)
    return flags


def _cursor(flag: str, given: object, flags: Flags, refuses_open: bool = False) -> NodeCursor:
    name = f"--{flag.replace('_', '-')}"
    reading = ParseContext(f"{name} {given}", problems=flags.problems, refuses_open=refuses_open)
    return NodeCursor(Scalar(str(given), 0, plain=True), (), reading)


def profile_problems(name: str, known: Iterable[str]) -> tuple[Problem, ...]:
    """What is wrong with the profile that a flag names."""
    names = sorted(known)
    if name in names:
        return ()
    return (Problem("--profile", 0, "", f"names no profile; {suggestion(name, names)}"),)


def load_listeners(sources: Sources) -> tuple[tuple[Listener, ...], Address | None]:
    """Where a proxy of these settings listens, and its admin listener; resolves no reference.

    Raises:
        ConfigurationError: every problem of the settings.
    """
    values, problems = read_settings(settings_document(sources), sources)
    if problems:
        raise ConfigurationError(problems)
    return values.get("listen", DEFAULT_LISTENERS), values.get("admin_listen")


def settings_document(sources: Sources) -> Document | None:
    """The file as it stands; None where there is none."""
    path = settings_path(sources)
    return None if path is None else read_document(path, SETTINGS, private=False)


def read_settings(
    config: Document | None,
    sources: Sources,
    profiles: frozenset[str] | None = None,
    *,
    is_versioned: bool = False,
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The fields of Settings besides the store, and what is wrong with them.

    Args:
        profiles: names that may be used; None when the store could not be read, or was not.
        is_versioned: whether paths of access rules have no `/1.0` before them.
    """
    tree = config.tree if config else None
    refuses_open = not (sources.allow_open or has_clients(tree))
    flags = read_flags(sources, refuses_open)
    if config is None:
        return flags.over({}), tuple(flags.problems)
    reading = config.reading(
        profiles=profiles,
        clients=client_names(tree),
        refuses_open=refuses_open and not sources.listen,
        is_versioned=is_versioned,
        listen=flags.listen,
        state=state_directory(sources),
    )
    values = parse_settings(tree, reading) if tree else {}
    return flags.over(values), (*config.all_problems(reading), *flags.problems)
