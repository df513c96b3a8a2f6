"""What tells a file from the one that was there before."""

import os
import stat
from collections.abc import Iterable, Mapping

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
