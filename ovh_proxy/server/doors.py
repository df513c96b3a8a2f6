"""All listeners of a server: bound, opened, and told."""

from collections.abc import Sequence
from dataclasses import dataclass

from ovh_proxy.core.errors import ListenFailed, OvhProxyError
from ovh_proxy.core.settings import Listener, Settings
from ovh_proxy.http1.connection import ClientServer
from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.listeners.listener import BoundListener, OpenListener, bind_listener, open_bound
from ovh_proxy.server.app import App


@dataclass(frozen=True, slots=True)
class OpenListeners:
    """The listeners that accept.

    Attributes:
        front: all of them but the admin listener.
    """

    servers: list[ClientServer]
    opened: list[OpenListener]
    front: list[OpenListener]


def bind_all(settings: Settings) -> list[BoundListener]:
    """The addresses of all listeners, the admin listener's last.

    Raises:
        ListenFailed: one of them cannot be bound, or must not.
    """
    bound: list[BoundListener] = []
    try:
        for listener in settings.listen:
            bound.append(bind_listener(listener))
            _refuse_exposed(bound[-1], settings)
        if settings.admin_listen is not None:
            bound.append(bind_listener(Listener(settings.admin_listen)))
    except OvhProxyError:
        for one in bound:
            one.close()
            one.remove_name()
        raise
    return bound


async def open_all(
    app: App,
    settings: Settings,
    bound: Sequence[BoundListener],
    share: ConnectionCount | None = None,
) -> OpenListeners:
    """Accepts on all listeners.

    Args:
        share: where other processes accept as well.

    Raises:
        ListenFailed: the system refuses.
    """
    servers: list[ClientServer] = []
    opened: list[OpenListener] = []
    limits, timeouts = settings.limits, settings.timeouts
    count = len(settings.listen)
    connect_handler = None if app.interception is None else app.interception.connect_handler
    try:
        for number, one in enumerate(bound):
            main = (app.front, app.connection_limit, connect_handler)
            front, connection_limit, connects = main if number < count else (app.admin, None, None)
            server = ClientServer(front, one.listener, limits, timeouts, connection_limit, connects)
            opened.append(await open_bound(one, server, timeouts.header_s, share))
            servers.append(server)
    except OvhProxyError:
        for listener in opened:
            listener.close()
        for one in bound[len(opened) :]:
            one.close()
        await app.close()
        raise
    return OpenListeners(servers, opened, opened[:count])


def _refuse_exposed(bound: BoundListener, settings: Settings) -> None:
    # An inherited socket, or a name, tells only now where it listens.
    if bound.is_exposed and not settings.clients and not settings.allow_open:
        raise ListenFailed(
            f"{bound.listener.address} is reached by other machines: set up `clients` with tokens, "
            "or say --allow-open"
        )


def lines(settings: Settings, bound: Sequence[BoundListener]) -> list[str]:
    """What is said of the listeners, one line each."""
    store = settings.store
    default = store.default_profile
    if default is not None:
        whom = f"profile {default.name}, {default.endpoint.name}"
    else:
        whom = f"profiles {', '.join(store.profiles)}; none is the default"
    if store.is_fallback:
        whom += f"; from {store.source}"
    told = [f"ovh-proxy: listening on {one.url} ({whom})" for one in bound]
    if settings.admin_listen is not None:
        told[-1] = f"ovh-proxy: admin listener on {bound[-1].url}"
    return told
