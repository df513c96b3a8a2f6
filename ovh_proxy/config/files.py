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


# A writer needs milliseconds; one that needs seconds hangs.
WAIT_S = 10.0

_PAUSE_S = 0.02


@contextmanager
def locked(
    path: Path, wait_s: float = WAIT_S, now: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Keeps other writers of a file away until the end of the block.

    The lock is on a file beside it, which stays: to remove it would let two writers in. It ends
    with the process that holds it, whatever becomes of that.

    Raises:
        CommandFailed: another one holds it for too long.
        OSError: the lock's file cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        ends = now() + wait_s
        while not _take(descriptor):
            if now() >= ends:
                raise CommandFailed(
                    f"{path} is being written by another ovh-proxy, which has not finished in "
                    f"{wait_s:g} s; see what it waits for, then try again"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":  # pragma: no cover - as flock, of one byte
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
    """Writes it; follows a link, and writes into what is no plain file, such as a pipe.

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
        raise CommandFailed(
            f"{path} cannot be written: {os.strerror(failure.errno or 0)}"
        ) from failure


# Device, inode, size, and when content and mode changed; None for what is not there.
Stamp = tuple[int, ...] | None

# A pipe, a device or a directory, of which a look says nothing.
NO_FILE: Stamp = ()


def stamps_of(names: Iterable[str]) -> Mapping[str, Stamp]:
    """The stamps of these files, by name."""
    return {name: _stamp(name) for name in names}


def _stamp(name: str) -> Stamp:
    try:
        # Links are followed: a swapped one leads to another inode.
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return NO_FILE
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# A thousand profiles are a tenth of it.
MAX_BYTES = 1_048_576


_REASONS = {
    errno.ENOENT: "does not exist; correct the path or create the file",
    errno.ENOTDIR: "does not exist: a part of the path is no directory; correct the path",
    errno.EACCES: "may not be read by this user; change its owner or mode, or run as its owner",
    errno.ELOOP: "is a symbolic link that leads to itself; point it at a file",
    errno.ENAMETOOLONG: "has too long a name; correct the path",
}


class Unreadable(Exception):
    """A file that gives no text; says why and what to do, without the path."""


def read_text(
    path: str, limit: int = MAX_BYTES, private: bool = False, *, or_allow: bool = True
) -> str:
    """The UTF-8 text of a file, symbolic links followed, a byte order mark dropped.

    Args:
        private: whether a file that others may read is refused.
        or_allow: whether a flag lets such a file pass.

    Raises:
        Unreadable: there is no such file, or it is nothing that we take.
    """
    raw = _read(path, limit, private, or_allow)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
    raise Unreadable(f"is not UTF-8 text (line {line}); save it as UTF-8")


def _read(path: str, limit: int, private: bool, or_allow: bool) -> bytes:
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would keep us here for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            problem = None
            if private:
                problem = permission_problem(descriptor, path, or_allow=or_allow)
            return _read_open(descriptor, limit, problem)
        finally:
            os.close(descriptor)
    except ValueError:
        reason = "has no valid name; correct the path"
    except OSError as failure:
        reason = _REASONS.get(failure.errno or 0, "cannot be read; check the path")
    raise Unreadable(reason)


def _read_open(descriptor: int, limit: int, problem: str | None) -> bytes:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise Unreadable("is a directory; name the file in it")
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
