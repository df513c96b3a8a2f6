"""This process: its descriptor and memory limits, and its memory closed to debuggers."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ovh_proxy.core.settings import Settings
from ovh_proxy.limits.concurrency import ConnectionCount, ConnectionLimit, SharedConnectionLimit
from ovh_proxy.logs import Log

# Listeners, the event loop's descriptors, configuration files, name resolution.
_RESERVED_DESCRIPTORS = 32


def max_client_connections(settings: Settings) -> int:
    """Returns how many client connections the descriptor limit allows, up to `limits.connections`.

    A connection over the limit gets a response; one without a descriptor hangs or is closed.
    """
    limits = settings.limits
    endpoints = {one.endpoint.base_url for one in settings.store.profiles.values()}
    # Connections to endpoints, and one temporary file for each body too large for memory.
    others = settings.upstream.connections * max(len(endpoints), 1) + limits.in_flight
    # A tunnel takes one descriptor at each end.
    ends = 2 if settings.intercept and settings.intercept_others == "tunnel" else 1
    wanted = limits.connections * ends + others + _RESERVED_DESCRIPTORS
    allowed = _raise_descriptor_limit(wanted)
    if allowed is None or allowed >= wanted:
        return limits.connections
    return min(limits.connections, max((allowed - _RESERVED_DESCRIPTORS) // (1 + ends), 1))


def _raise_descriptor_limit(wanted: int) -> int | None:
    """Raises the soft limit as far as needed and allowed; returns the new one, None if enough.

    Precedent: Go's runtime does so for every program.
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


# Memory of an idle process, with a margin.
_BASE_BYTES = 64 * 2**20


def max_body_memory(workers: int, limit: int | None) -> int | None:
    """Returns how many bytes of request bodies one process may hold in memory; None: no limit.

    The other half is for responses, socket buffers, and memory that `malloc` does not return.

    Args:
        workers: number of processes that share the limit.
        limit: memory limit of all of them, in bytes.
    """
    if limit is None:
        return None
    share = limit // workers
    return max((share - _BASE_BYTES) // 2, share // 16)


def memory_limit(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Returns the memory limit of this process's cgroups or machine in bytes; None if unknown.

    Args:
        membership: file that lists the process's cgroups, one per line.
        root: where the cgroup file system is mounted.

    Source: cgroups(7), versions 1 and 2.
    """
    limits = [*_cgroup_limits(membership, root)]
    with suppress(AttributeError, OSError, ValueError):  # Windows and some other systems
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def _cgroup_limits(membership: Path, root: Path) -> Iterator[int]:
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
        # The limits of parent groups apply too. In a container the path may not exist: the
        # container's own group is then mounted at the root.
        group = base / path.lstrip("/")
        for directory in (group, *group.parents):
            with suppress(OSError, ValueError):  # `max` is not a number
                yield int((directory / name).read_text())
            if directory == base:
                break


# Source: prctl(2).
_PR_SET_DUMPABLE = 4


def deny_debuggers() -> bool:
    """Blocks debuggers and core dumps, for the same user too; returns whether that worked.

    Child programs are not protected, and root is not restricted.
    """
    if sys.platform != "linux":
        return False
    # Imported here: it is slow, and only a process that holds keys needs it.
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    return False  # pragma: no cover - every C library of Linux has it


def body_memory_limit(settings: Settings, log: Log) -> int:
    """Returns the limit of body bytes in memory, lowered to what this process may use."""
    wanted = settings.limits.memory_bodies_bytes
    limit = memory_limit()
    available = max_body_memory(settings.workers, limit)
    if available is None or available >= wanted:
        return sys.maxsize
    log.write(
        "info",  # harmless in a small container with the default setting
        "limits.memory_bodies_bytes is lowered to fit the memory limit of this process",
        bytes=available,
        memory=limit,
    )
    return available


def make_connection_limit(
    settings: Settings, share: ConnectionCount | None, log: Log
) -> ConnectionLimit:
    """Returns the limit of client connections, across all processes."""
    limit = max_client_connections(settings)
    if limit < settings.limits.connections:
        log.write(
            "warning",
            "limits.connections is lowered to fit the descriptor limit of this process (ulimit -n)",
            connections=limit,
        )
    return ConnectionLimit(limit) if share is None else SharedConnectionLimit(limit, share)
