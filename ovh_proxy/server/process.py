"""This process: its descriptor and memory limits, and its memory closed to debuggers."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ovh_proxy.core.settings import Settings
from ovh_proxy.limits.concurrency import ConnectionCount, ConnectionLimit, SharedConnectionLimit
from ovh_proxy.logs import Log

# Listeners, the loop's own, the files of the settings, a question for a name.
_BESIDES = 32


def max_client_connections(settings: Settings) -> int:
    """How many clients' connections the system has descriptors for, `limits.connections` at most.

    A connection too many is answered; one without a descriptor for it hangs, or ends unanswered.
    """
    limits = settings.limits
    endpoints = {one.endpoint.base_url for one in settings.store.profiles.values()}
    # A connection to an endpoint, and a file for a body that is too large for memory.
    others = settings.upstream.connections * max(len(endpoints), 1) + limits.in_flight
    # What is led elsewhere takes one at each end.
    ends = 2 if settings.intercept and settings.intercept_others == "tunnel" else 1
    wanted = limits.connections * ends + others + _BESIDES
    allowed = _allow(wanted)
    if allowed is None or allowed >= wanted:
        return limits.connections
    return min(limits.connections, max((allowed - _BESIDES) // (1 + ends), 1))


def _allow(wanted: int) -> int | None:
    """Raises the process's own limit as far as it is needed and the system lets it.

    Precedent: Go's runtime does so for every program. Gives what there is now, None for no limit.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # pragma: no cover - macOS has a bound beside the hard one
        return soft
    return raised


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


# Source: the manual page of prctl.
_PR_SET_DUMPABLE = 4


def deny_debuggers() -> bool:
    """Forbids debuggers and core dumps, of the same user too; whether the system could be told.

    A program that is executed from here is open again. Root is kept out of nothing.
    """
    if sys.platform != "linux":
        return False
    # Imported here: it takes a while, and only a process with keys needs it.
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    return False  # pragma: no cover - every C library of Linux has it


def body_memory_limit(settings: Settings, log: Log) -> int:
    """All bodies in memory together, where the system allows fewer than the settings."""
    wanted = settings.limits.memory_bodies_bytes
    limit = memory_limit()
    room = max_body_memory(settings.workers, limit)
    if room is None or room >= wanted:
        return sys.maxsize
    log.write(
        "info",  # the default is as good as any other in a small container
        "limits.memory_bodies_bytes is cut: this process may not have so much memory",
        bytes=room,
        memory=limit,
    )
    return room


def make_connection_limit(
    settings: Settings, share: ConnectionCount | None, log: Log
) -> ConnectionLimit:
    """The limit of the connections of clients, those of all processes together."""
    limit = max_client_connections(settings)
    if limit < settings.limits.connections:
        log.write(
            "warning",
            "limits.connections is cut: this process may not open so many descriptors (ulimit -n)",
            connections=limit,
        )
    return ConnectionLimit(limit) if share is None else SharedConnectionLimit(limit, share)
