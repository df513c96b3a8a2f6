"""Room for connections and bodies: no more than the system gives, whatever the settings say."""

import sys

from ovh_proxy.core.settings import Settings
from ovh_proxy.limits.concurrency import ConnectionCount, ConnectionLimit, SharedConnectionLimit
from ovh_proxy.logs import Log
from ovh_proxy.server.descriptors import max_client_connections
from ovh_proxy.server.memory_limit import max_body_memory, memory_limit


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
