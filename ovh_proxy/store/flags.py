"""What flags say over the file, read by the same shapes, so that both take the same values."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.listener_fields import ADMIN_ADDRESS, LISTENER
from ovh_proxy.config.nodes import NodeCursor, ParseContext, suggestion
from ovh_proxy.config.settings_fields import DRAIN_DELAY, FORMAT, LEVEL, WORKERS
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import Listener, LogSettings, Timeouts
from ovh_proxy.store.nodes import Scalar

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
