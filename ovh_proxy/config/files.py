"""Files read whole within bounds, and written whole or not at all; their permissions, locks and stamps."""  # noqa: E501 - the caption in one line

import contextlib
import errno
import os
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ovh_proxy.core.errors import CommandFailed

_OTHERS = 0o077
_ALL_BUT_GROUP_READ = 0o037


def is_private(mode: int, owner: int, on_read_only_mount: bool) -> bool:
    """Whether the permissions of a file are tight enough for secrets.

    Packages install secrets for a service as files of root that a group may read; containers get
    them on a read-only mount, where modes cannot be changed.
    """
    if on_read_only_mount or not mode & _OTHERS:
        return True
    return owner == 0 and not mode & _ALL_BUT_GROUP_READ


def permission_problem(descriptor: int, path: str, *, or_allow: bool = True) -> str | None:
    """The problem of an open file's permissions and its remedy; None if there is none.

    Args:
        or_allow: whether --allow-loose-permissions applies to the file.
    """
    if sys.platform == "win32":  # pragma: no cover - mode bits say nothing there
        return None
    status = os.fstat(descriptor)
    read_only = bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    if is_private(status.st_mode, status.st_uid, read_only):
        return None
    problem = (
        f"is accessible to other users (mode {status.st_mode & 0o777:04o}); "
        f"run: chmod 600 {shlex.quote(path)}"
    )
    return f"{problem}  (or allow it with --allow-loose-permissions)" if or_allow else problem


Step = Callable[[str], None]


def no_step(name: str) -> None:
    """Ignores the steps of a write."""


def make_directory(path: Path) -> None:
    """Makes a directory and its parents, accessible to the owner only.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        make_directory(path.parent)
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(0o700)


def replace_file(path: Path, raw: bytes, step: Step = no_step, mode: int = 0o600) -> None:
    """Writes a file atomically: a crash at any point leaves the old or the new file.

    Callers make sure that nothing else writes the same file.

    Args:
        path: not a symbolic link, because that would itself be replaced.
        step: called with the name of each finished step.
        mode: of the file, minus the umask.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.new")
    # A file left by a crash contains old secrets.
    temporary.unlink(missing_ok=True)
    step("cleared")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, mode)
    try:
        with open(descriptor, "wb") as file:
            step("created")
            _preserve_owner(descriptor, path)
            file.write(raw)
            file.flush()
            step("written")
            os.fsync(descriptor)
            step("synced")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    step("renamed")
    _sync_directory(path.parent)
    step("directory synced")


def _preserve_owner(descriptor: int, path: Path) -> None:
    # A login as root for a service must not change the owner of its store.
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


# A write takes milliseconds; one that takes seconds hangs.
WAIT_S = 10.0
_PAUSE_S = 0.02


@contextmanager
def locked(
    path: Path, wait_s: float = WAIT_S, now: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Locks a file against other writers for the length of the block.

    The lock is on a separate file, which stays: removing it would let two writers in. The lock ends
    with its process, even after a crash.

    Raises:
        CommandFailed: another process holds the lock for too long.
        OSError: the lock file cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        ends = now() + wait_s
        while not _try_lock(descriptor):
            if now() >= ends:
                raise CommandFailed(
                    f"{path} is locked by another ovh-proxy, which did not finish within "
                    f"{wait_s:g} s; wait for it or stop it, then try again"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":  # pragma: no cover - like flock, on one byte
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


_PUBLIC = 0o644


def write_public(path: str, text: str) -> None:
    """Writes a public file; follows links, and writes into special files such as pipes.

    Raises:
        CommandFailed: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_file() or not target.exists():
            replace_file(target, text.encode(), mode=_PUBLIC)
        else:
            target.write_text(text, encoding="ascii")
    except OSError as failure:
        raise CommandFailed(f"cannot write {path}: {os.strerror(failure.errno or 0)}") from failure


# Device, inode, size, mtime and ctime; None for a file that does not exist.
Stamp = tuple[int, ...] | None
# A pipe, a device or a directory, whose changes a stamp does not show.
NO_FILE: Stamp = ()


def stamps_of(names: Iterable[str]) -> Mapping[str, Stamp]:
    """The stamps of these files, by name."""
    return {name: _stamp(name) for name in names}


def _stamp(name: str) -> Stamp:
    try:
        # Links are followed: a link to another file has another inode.
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return NO_FILE
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# A thousand profiles need a tenth of it.
MAX_BYTES = 1_048_576

_REASONS = {
    errno.ENOENT: "does not exist; correct the path or create the file",
    errno.ENOTDIR: "does not exist: a part of the path is not a directory; correct the path",
    errno.EACCES: "cannot be read by this user; change its owner or mode, or run as its owner",
    errno.ELOOP: "is a symbolic link to itself; point it at a file",
    errno.ENAMETOOLONG: "has a name that is too long; correct the path",
}


class Unreadable(Exception):
    """A file that cannot be read as text; the message is without the path."""


def read_text(
    path: str, limit: int = MAX_BYTES, private: bool = False, *, or_allow: bool = True
) -> str:
    """The UTF-8 text of a file, symbolic links followed, a byte order mark dropped.

    Args:
        private: whether a file that others may read is rejected.
        or_allow: whether --allow-loose-permissions applies to the file.

    Raises:
        Unreadable: it does not exist, or cannot be used.
    """
    raw = _read(path, limit, private, or_allow)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
    raise Unreadable(f"is not UTF-8 text (line {line}); save it as UTF-8")


def _read(path: str, limit: int, private: bool, or_allow: bool) -> bytes:
    try:
        # Without O_NONBLOCK a pipe without a writer would block forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            problem = None
            if private:
                problem = permission_problem(descriptor, path, or_allow=or_allow)
            return _read_open(descriptor, limit, problem)
        finally:
            os.close(descriptor)
    except ValueError:
        reason = "is not a valid path; correct it"
    except OSError as failure:
        reason = _REASONS.get(failure.errno or 0, "cannot be read; check the path")
    raise Unreadable(reason)


def _read_open(descriptor: int, limit: int, problem: str | None) -> bytes:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise Unreadable("is a directory; name a file")
    if problem:
        raise Unreadable(problem)
    os.set_blocking(descriptor, True)  # `--credentials <(sops -d …)` writes when it is ready
    raw = b""
    while len(raw) <= limit:
        piece = os.read(descriptor, limit + 1 - len(raw))
        if not piece:
            return raw
        raw += piece
    raise Unreadable(f"is larger than {limit} bytes; is it the right file?")
