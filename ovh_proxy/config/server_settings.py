"""The server settings: what their file says, and the flags over it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ovh_proxy.config.documents import Document, client_names, parse_settings, read_document
from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.listener_fields import ADMIN_ADDRESS, LISTENER
from ovh_proxy.config.nodes import NodeCursor, ParseContext, Scalar
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
from ovh_proxy.core.redaction import unknown
from ovh_proxy.core.settings import DEFAULT_LISTENERS, Address, Listener, LogSettings, Timeouts

# Each flag, with the part of Settings ("" for none) and the field that it sets.
_FLAGS: tuple[tuple[str, str, str, FieldType[Any]], ...] = (
    ("admin_listen", "", "admin_listen", ADMIN_ADDRESS),
    ("workers", "", "workers", WORKERS),
    ("drain_delay", "timeouts", "drain_delay_s", DRAIN_DELAY),
    ("log_level", "log", "level", LEVEL),
    ("log_format", "log", "format", FORMAT),
)


@dataclass(slots=True)
class Flags:
    """The fields of Settings that flags set, by the part of Settings ("" for none)."""

    listen: tuple[Listener, ...] = ()
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def override(self, values: dict[str, Any]) -> dict[str, Any]:
        """The fields of Settings, with the values of flags instead of those of the file."""
        timeouts = replace(values.get("timeouts", Timeouts()), **self.fields.get("timeouts", {}))
        log = replace(values.get("log", LogSettings()), **self.fields.get("log", {}))
        listen = {"listen": self.listen} if self.listen else {}
        return values | self.fields.get("", {}) | listen | {"timeouts": timeouts, "log": log}


def read_flags(sources: Sources, refuses_open: bool) -> Flags:
    """The values of the flags, and their problems.

    Args:
        refuses_open: whether a listener that other machines can reach is rejected.
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
    context = ParseContext(
        f"--{flag.replace('_', '-')}", problems=flags.problems, refuses_open=refuses_open
    )
    return NodeCursor(Scalar(str(given), 0, plain=True), (), context)


def profile_problems(name: str, known: Iterable[str]) -> tuple[Problem, ...]:
    """The problem of a --profile that does not exist."""
    names = sorted(known)
    if name in names:
        return ()
    return (Problem("--profile", 0, "", unknown("profile", name, names)),)


def load_listeners(sources: Sources) -> tuple[tuple[Listener, ...], Address | None]:
    """The listeners of the settings, and the admin listener; resolves no references.

    Raises:
        ConfigurationError: every problem of the settings.
    """
    values, problems = read_settings(settings_document(sources), sources)
    if problems:
        raise ConfigurationError(problems)
    return values.get("listen", DEFAULT_LISTENERS), values.get("admin_listen")


def settings_document(sources: Sources) -> Document | None:
    """The file of the settings; None if there is none."""
    path = settings_path(sources)
    return None if path is None else read_document(path, SETTINGS, private=False)


def read_settings(
    config: Document | None,
    sources: Sources,
    profiles: frozenset[str] | None = None,
    *,
    is_versioned: bool = False,
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The fields of Settings besides the store, and their problems.

    Args:
        profiles: existing profiles; None when the store could not be read, or was not.
        is_versioned: whether paths in access rules have no `/1.0` in front.
    """
    tree = config.tree if config else None
    refuses_open = not (sources.allow_open or has_clients(tree))
    flags = read_flags(sources, refuses_open)
    if config is None:
        return flags.override({}), tuple(flags.problems)
    context = config.context(
        profiles=profiles,
        clients=client_names(tree),
        refuses_open=refuses_open and not sources.listen,
        is_versioned=is_versioned,
        listen=flags.listen,
        state_directory=state_directory(sources),
    )
    values = parse_settings(tree, context) if tree else {}
    return flags.override(values), (*config.all_problems(context), *flags.problems)
