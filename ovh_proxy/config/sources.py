"""What the command line, the environment and the machine say about where settings come from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _environ() -> Mapping[str, str]:
    return dict(os.environ)


def _home() -> Path:
    # A container's numeric user has no home: expanduser gives the ~ back, Path.home() raises.
    home = os.path.expanduser("~")
    return Path(home) if os.path.isabs(home) else Path("/")


def _cwd() -> Path:
    try:
        return Path.cwd()
    except OSError:  # removed under our feet
        return Path("/")


@dataclass(frozen=True, slots=True)
class Sources:
    """Flags, where they were given, and the surroundings that files are looked for in.

    Attributes:
        listen: replaces the file's list when not empty.
        command_limit_s: how long a `command` reference may take.
    """

    credentials: str | None = None
    config: str | None = None
    environ: Mapping[str, str] = field(default_factory=_environ, repr=False)
    home: Path = field(default_factory=_home)
    cwd: Path = field(default_factory=_cwd)
    etc: Path = Path("/etc")
    allow_loose_permissions: bool = False
    profile: str | None = None
    listen: tuple[str, ...] = ()
    admin_listen: str | None = None
    allow_open: bool = False
    drain_delay: float | None = None
    workers: int | None = None
    log_level: str | None = None
    log_format: str | None = None
    command_limit_s: float = 10.0
