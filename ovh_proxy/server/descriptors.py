"""How many descriptors the process may have, and how many connections that leaves for clients."""

from ovh_proxy.core.settings import Settings

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
