"""Shutdown: calls in flight complete, new requests are rejected, and everything has a timeout."""

import asyncio

import pytest
from support.hostile import HostileUpstream
from support.proxy_server import Conversation, ProxyServer
from support.raw_server import within
from support.scripts import stalling
from support.serving import call

from ovh_proxy.core.settings import Timeouts

pytestmark = pytest.mark.asyncio

READY = call(target="/-/readyz")


async def ask_repeatedly(proxy_server: ProxyServer) -> list[int]:
    """Sends requests, reusing the connection where possible, until the listener is closed."""
    statuses: list[int] = []
    while True:
        try:
            client = await proxy_server.connect()
        except ConnectionError:
            return statuses
        keep_alive = True
        while keep_alive:
            client.send(call())
            answer = await client.answer()
            statuses.append(answer.status)
            keep_alive = answer.value("Connection") != "close"
        await client.close()


async def until_refused(proxy_server: ProxyServer) -> None:
    """Waits until the listener is closed."""
    try:
        while True:
            await (await proxy_server.connect()).close()
    except ConnectionRefusedError:
        return


async def busy_one(proxy_server: ProxyServer, upstream: HostileUpstream) -> Conversation:
    """Sends a call that stays in flight."""
    client = await proxy_server.connect()
    client.send(call("POST"))
    await upstream.until(lambda: len(upstream.calls) > 0)
    return client


async def test_clients_are_served_until_the_listener_closes(start):
    proxy_server = await start(timeouts=Timeouts(drain_delay_s=0.3))
    asking = asyncio.ensure_future(ask_repeatedly(proxy_server))
    await proxy_server.until_logged(5)
    before = len(proxy_server.requests)
    loop = asyncio.get_running_loop()
    began = loop.time()

    clean = await proxy_server.end()

    *statuses, last = await within(asking)
    assert clean
    assert set(statuses) == {200}
    assert last in (200, 503)  # the last connection may be accepted, but its request too late
    assert len(statuses) > before
    assert 0.3 <= loop.time() - began < 2


async def test_open_connections_get_connection_close_as_soon_as_shutdown_starts(start, upstream):
    proxy_server = await start(timeouts=Timeouts(drain_delay_s=60))
    client = await proxy_server.connect()
    client.send(call())
    before = await client.answer()
    proxy_server.stop()
    client.send(call())

    answer = await client.answer()

    assert (before.value("Connection"), answer.value("Connection")) == (None, "close")
    assert (before.status, answer.status) == (200, 200)
    assert await client.ends_cleanly()
    assert (await proxy_server.ask(READY)).json["reasons"] == ["the proxy is shutting down"]


async def test_shutdown_waits_for_a_request_body(start, upstream):
    proxy_server = await start()
    text = call("PUT", body=b"x" * 1000)
    client = await proxy_server.connect()
    client.send(text[:-500])
    await proxy_server.ask(call())
    ending = asyncio.ensure_future(proxy_server.end())
    client.send(text[-500:])

    answer = await client.answer()

    assert (answer.status, answer.value("Connection")) == (200, "close")
    assert await ending


async def test_shutdown_waits_for_a_response(start, upstream):
    go = asyncio.Event()

    async def script(side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        await go.wait()
        await side.send(b"56789")

    upstream.scripts = [script]
    proxy_server = await start()
    client = await proxy_server.connect()
    client.send(call())
    await client.exactly(b"HTTP/1.1 200 OK")
    ending = asyncio.ensure_future(proxy_server.end())
    go.set()

    rest = await client.rest()

    assert rest.endswith(b"0123456789")
    assert await ending


async def test_new_requests_are_rejected_during_the_drain(start, upstream, held):
    proxy_server = await start()
    kept, busy = await proxy_server.connect(), await busy_one(proxy_server, upstream)
    ending = asyncio.ensure_future(proxy_server.end())
    await until_refused(proxy_server)
    kept.send(call())

    answer = await kept.answer()

    assert (answer.status, answer.code, answer.value("Retry-After")) == (503, "DRAINING", "1")
    assert answer.value("Connection") == "close"
    assert await kept.ends_cleanly()
    held.go.set()
    assert (await busy.answer()).status == 200
    assert await ending
    assert len(upstream.calls) == 1


async def test_a_request_at_the_very_end_is_rejected(start, upstream):
    proxy_server = await start()
    kept = await proxy_server.connect()
    kept.send(call())
    await kept.answer()
    proxy_server.stop()
    while not any(one["message"] == "stopped" for one in proxy_server.records):
        proxy_server.log.written.clear()
        await within(proxy_server.log.written.wait())
    kept.send(call())

    answer = await kept.answer()

    assert (answer.status, answer.code) == (503, "DRAINING")
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("is_forced", [False, True], ids=["by its deadline", "by a second signal"])
@pytest.mark.parametrize("has_begun", [False, True], ids=["before its answer", "in its answer"])
async def test_a_drain_that_is_cut_short_aborts_connections_visibly(
    start, upstream, held, is_forced, has_begun
):
    if has_begun:
        upstream.scripts = [stalling(b"HTTP/1.1 200 OK\r\n\r\n0123456789")]
    proxy_server = await start(timeouts=Timeouts(drain_s=60 if is_forced else 0.2))
    client = await busy_one(proxy_server, upstream)
    if has_begun:
        await within(client.reader.readuntil(b"0123456789\r\n"))
    proxy_server.stop()
    if is_forced:
        proxy_server.stop()

    clean = await proxy_server.end()

    assert not clean
    assert b"0\r\n\r\n" not in await client.rest()
    assert (
        next(one for one in proxy_server.records if one["message"] == "stopped")["cut_short"] == 1
    )
