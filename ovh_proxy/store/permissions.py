"""Who may read a file of secrets."""

import os
import shlex
import sys

_OTHERS = 0o077
_ALL_BUT_GROUP_READ = 0o037


def is_private(mode: int, owner: int, on_read_only_mount: bool) -> bool:
    """Whether only those may read and change a file who should.

    Root's files that a group may read are how a package installs a secret for a service; a
    read-only mount is how a container gets one, and nothing there can be given another mode.
    """
    if on_read_only_mount or not mode & _OTHERS:
        return True
    return owner == 0 and not mode & _ALL_BUT_GROUP_READ


def permission_problem(descriptor: int, path: str, *, or_allow: bool = True) -> str | None:
    """What is wrong with an open file's mode and what mends it; None when it is fine.

    Args:
        or_allow: whether a flag lets the file pass as it is.
    """
    if sys.platform == "win32":  # pragma: no cover - mode bits say nothing there
        return None
    status = os.fstat(descriptor)
    read_only = bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    if is_private(status.st_mode, status.st_uid, read_only):
        return None
    problem = (
        f"others on this machine may read or change it (mode {status.st_mode & 0o777:04o}); "
        f"run: chmod 600 {shlex.quote(path)}"
    )
    return f"{problem}  (or allow it with --allow-loose-permissions)" if or_allow else problem
