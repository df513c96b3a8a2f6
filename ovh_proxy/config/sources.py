"""Where settings come from: flags, environment, and the files that are looked for."""

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


STORE_NAME = "credentials.yaml"

SETTINGS_NAME = "ovh-proxy.yaml"

STATE_VARIABLE = "OVH_PROXY_STATE_DIR"


def store_path(sources: Sources) -> Path | None:
    """The credential store: the one that is named, else the first that is there."""
    named = sources.credentials or sources.environ.get("OVH_PROXY_CREDENTIALS")
    return sources.cwd / named if named else _first(places(sources, STORE_NAME))


def settings_path(sources: Sources) -> Path | None:
    """The server settings: those that are named, else the first that are there."""
    named = sources.config or sources.environ.get("OVH_PROXY_CONFIG")
    return sources.cwd / named if named else _first(places(sources, SETTINGS_NAME))


def places(sources: Sources, name: str) -> tuple[Path, ...]:
    """Where a file lies that nobody names, the first first."""
    given = sources.environ.get("XDG_CONFIG_HOME", "")
    # XDG Base Directory Specification: a path that is not absolute is invalid and ignored.
    config_home = Path(given) if os.path.isabs(given) else sources.home / ".config"
    return (config_home / "ovh-proxy" / name, sources.etc / "ovh-proxy" / name)


def conf_files(sources: Sources) -> tuple[tuple[str, Path], ...]:
    """The files of the SDKs with the names that a person knows them by, the strongest first."""
    etc = sources.etc / "ovh.conf"
    return (
        ("./ovh.conf", sources.cwd / "ovh.conf"),
        ("~/.ovh.conf", sources.home / ".ovh.conf"),
        (str(etc), etc),
    )


def state_directory(sources: Sources) -> Path:
    """Where we keep what we make ourselves: the directory that is named, else the user's own."""
    named = sources.environ.get(STATE_VARIABLE)
    if named:
        return sources.cwd / named
    given = sources.environ.get("XDG_STATE_HOME", "")
    # As above: a path that is not absolute is ignored.
    state_home = Path(given) if os.path.isabs(given) else sources.home / ".local" / "state"
    return state_home / "ovh-proxy"


def _first(paths: tuple[Path, ...]) -> Path | None:
    # A link that leads nowhere is there all the same: to pass over it would pick another account.
    return next((path for path in paths if os.path.lexists(path)), None)
