"""How much memory the process may have, and how much of that request bodies may take."""

# A container's limit is met without a warning: the system ends the process, and every call in it.

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What the process takes at rest, and some way to go.
_BASE_BYTES = 64 * 2**20


def max_body_memory(workers: int, limit: int | None) -> int | None:
    """Bytes that the bodies in one process's memory may take together; None for no bound.

    The other half is for answers, for what sockets buffer, and for what `malloc` does not give
    back.

    Args:
        workers: processes that share the limit.
        limit: bytes that all of them may have.
    """
    if limit is None:
        return None
    mine = limit // workers
    return max((mine - _BASE_BYTES) // 2, mine // 16)


def memory_limit(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that this process's control groups, or this machine, have for it; None if untold.

    Args:
        membership: the process's control groups, one a line.
        root: where the groups are.

    Source: the manual page of cgroups, for both versions.
    """
    found = [*_of_groups(membership, root)]
    with suppress(AttributeError, OSError, ValueError):  # Windows; not every system tells
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def _of_groups(membership: Path, root: Path) -> Iterator[int]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        # A group has no more than those above it. Within a container the path may not be there:
        # what is mounted is then its own group.
        group = base / path.lstrip("/")
        for place in (group, *group.parents):
            with suppress(OSError, ValueError):  # `max` is no number
                yield int((place / name).read_text())
            if place == base:
                break
