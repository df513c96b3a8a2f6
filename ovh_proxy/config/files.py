"""A file read whole, within bounds, or why it could not be."""

import errno
import os
import stat

from ovh_proxy.store.permissions import permission_problem

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
