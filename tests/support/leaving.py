"""Clients that disconnect, and the log records of their calls."""

from collections.abc import Callable

from support.hostile import HostileUpstream
from support.proxy_server import Conversation, ProxyServer
from support.serving import call

WAYS: dict[str, Callable[[Conversation], object]] = {
    "an end": lambda client: client.writer.close(),
    "a reset": lambda client: client.abort(),
    "half an end": lambda client: client.writer.write_eof(),
}
HEALTH = call(target="/-/healthz")


async def leave(
    proxy_server: ProxyServer, upstream: HostileUpstream, text: bytes, way: str = "an end"
) -> None:
    """Makes a call and disconnects once it has arrived; returns when the proxy noticed."""
    client = await proxy_server.connect()
    client.send(text)
    await upstream.until(lambda: len(upstream.calls) == 1)
    WAYS[way](client)
    await proxy_server.ask(HEALTH)


def outcomes(proxy_server: ProxyServer) -> list[tuple[str, int | None, str | None]]:
    """Returns request ID, status and error of logged calls that were completed."""
    return [
        (one["request_id"], one.get("upstream_status"), one.get("error"))
        for one in proxy_server.records
        if one["message"] == "call completed after its client disconnected"
    ]
