"""Puts a file into the place of another, whole or not at all, for its owner alone."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

Step = Callable[[str], None]


def no_step(name: str) -> None:
    """Whoever writes tells nobody how far it is."""


def make_directory(path: Path) -> None:
    """Makes a directory and those above it, each for its owner alone.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        make_directory(path.parent)
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(0o700)


def replace_file(path: Path, raw: bytes, step: Step = no_step, mode: int = 0o600) -> None:
    """Writes a file; a crash at any point leaves the old one or the new one.

    Whoever calls has seen to it that nobody else writes the same file.

    Args:
        path: no symbolic link, which would be replaced itself.
        step: told the name of each step once it is done.
        mode: of the file, less what the umask takes; for its owner alone unless it is public.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    beside = path.with_name(f".{path.name}.new")
    # What a crash has left there holds secrets of an earlier time.
    beside.unlink(missing_ok=True)
    step("cleared")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(beside, flags, mode)
    try:
        with open(descriptor, "wb") as file:
            step("created")
            _keep_owner(descriptor, path)
            file.write(raw)
            file.flush()
            step("written")
            os.fsync(descriptor)
            step("synced")
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    step("renamed")
    _sync_directory(path.parent)
    step("directory synced")


def _keep_owner(descriptor: int, path: Path) -> None:
    # Root that logs in for a service must not take the store away from it.
    if sys.platform != "win32" and os.geteuid() == 0 and path.exists():
        status = path.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_directory(path: Path) -> None:
    if sys.platform == "win32":  # pragma: no cover - directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
