"""One writer of a file at a time."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ovh_proxy.core.errors import CommandFailed

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
