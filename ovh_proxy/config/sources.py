"""Where settings come from: flags, environment, and the files that are looked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _environ() -> Mapping[str, str]:
    return dict(os.environ)


def _home() -> Path:
    # A numeric user of a container has no home: expanduser returns ~ unchanged, Path.home() raises.
    home = os.path.expanduser("~")
    return Path(home) if os.path.isabs(home) else Path("/")


def _cwd() -> Path:
    try:
        return Path.cwd()
    except OSError:  # removed while we run
        return Path("/")


@dataclass(frozen=True, slots=True)
class Sources:
    """The given flags, and where files are searched.

    Attributes:
        listen: replaces the list of the file unless empty.
        command_limit_s: timeout of a `command` reference.
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
    """The credential store: the named one, else the first default path that exists."""
    named = sources.credentials or sources.environ.get("OVH_PROXY_CREDENTIALS")
    return sources.cwd / named if named else _first(default_paths(sources, STORE_NAME))


def settings_path(sources: Sources) -> Path | None:
    """The server settings: the named file, else the first default path that exists."""
    named = sources.config or sources.environ.get("OVH_PROXY_CONFIG")
    return sources.cwd / named if named else _first(default_paths(sources, SETTINGS_NAME))


def default_paths(sources: Sources, name: str) -> tuple[Path, ...]:
    """Where a file is searched if it is not named, in this order."""
    given = sources.environ.get("XDG_CONFIG_HOME", "")
    # XDG Base Directory Specification: a path that is not absolute is invalid and ignored.
    config_home = Path(given) if os.path.isabs(given) else sources.home / ".config"
    return (config_home / "ovh-proxy" / name, sources.etc / "ovh-proxy" / name)


def conf_files(sources: Sources) -> tuple[tuple[str, Path], ...]:
    """The files of the SDKs by precedence, with their display names."""
    etc = sources.etc / "ovh.conf"
    return (
        ("./ovh.conf", sources.cwd / "ovh.conf"),
        ("~/.ovh.conf", sources.home / ".ovh.conf"),
        (str(etc), etc),
    )


def state_directory(sources: Sources) -> Path:
    """Where files that the proxy makes are stored: the named directory, else the user's."""
    named = sources.environ.get(STATE_VARIABLE)
    if named:
        return sources.cwd / named
    given = sources.environ.get("XDG_STATE_HOME", "")
    # As above: a path that is not absolute is ignored.
    state_home = Path(given) if os.path.isabs(given) else sources.home / ".local" / "state"
    return state_home / "ovh-proxy"


def _first(paths: tuple[Path, ...]) -> Path | None:
    # A dangling link counts as existing: skipping it would select another account.
    return next((path for path in paths if os.path.lexists(path)), None)
