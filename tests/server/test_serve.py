"""Start and shutdown: announced lines, drain, log."""

import asyncio
import logging
import os
import re
import signal
import socket
import sys

import pytest

from ovh_proxy.core.settings import Listener, Store, TcpAddress, Timeouts
from ovh_proxy.server.serve import Announcement, ShutdownRequest, handle_signals

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
READY = b"GET /-/readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def held(upstream):
    """Delays every response until it is set."""
    release = asyncio.Event()

    async def answering(_, side) -> None:
        await release.wait()
        await side.write(OK)

    upstream.answering = answering
    return release


async def until_refused(proxy_server) -> None:
    """Waits until the listener is closed, which takes a few loop iterations."""
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", proxy_server.port)) != 0:
                return
        await asyncio.sleep(0)
    raise AssertionError("the listener stays open")


@pytest.mark.asyncio
async def test_every_listener_is_announced_with_its_url_and_store(
    start, unix_listener, make_profile, make_store
):
    store = make_store(make_profile("personal"))
    proxy_server = await start(
        listen=(Listener(TcpAddress("127.0.0.1", 0)), unix_listener),
        admin_listen=TcpAddress("127.0.0.1", 0),
        store=store,
    )

    tcp, unix, admin = proxy_server.announcements
    assert tcp == Announcement(f"http://127.0.0.1:{proxy_server.port}", store)
    assert unix == Announcement(str(unix_listener.address), store)
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", admin.url)
    assert admin.store is None


@pytest.mark.asyncio
async def test_without_a_default_a_request_must_name_its_profile(
    start, upstream, make_profile, make_store
):
    proxy_server = await start(store=make_store(make_profile("one"), make_profile("two")))
    conversation = await proxy_server.connect()
    conversation.send(
        GET
        + GET.replace(b"/me", b"/@two/me")
        + GET.replace(b"\r\n\r\n", b"\r\nX-Ovh-Proxy-Profile: one\r\n\r\n")
    )

    responses = [await conversation.answer() for _ in range(3)]

    assert [response.code for response in responses] == ["BAD_REQUEST", None, None]
    assert [record["profile"] for record in proxy_server.requests] == ["-", "two", "one"]


@pytest.mark.asyncio
async def test_a_shutdown_without_requests_is_clean_and_quick(start):
    proxy_server = await start()
    idle = await proxy_server.connect()
    idle.send(GET)
    await idle.answer()
    loop = asyncio.get_running_loop()
    began = loop.time()

    clean = await proxy_server.end()

    assert clean
    assert loop.time() - began < 1
    assert await idle.rest() == b""
    assert [r["message"] for r in proxy_server.records if r["message"] != "request"] == [
        "stopping",
        "stopped",
    ]


@pytest.mark.asyncio
async def test_a_shutdown_waits_for_requests_in_flight(start, upstream, held):
    proxy_server = await start()
    conversation = await proxy_server.connect()
    conversation.send(GET)
    await upstream.until(lambda: len(upstream.requests) == 1)
    proxy_server.stop()
    await until_refused(proxy_server)
    held.set()

    response = await conversation.answer()

    assert (response.status, response.body) == (200, b"ok")
    assert await proxy_server.end()


@pytest.mark.asyncio
async def test_requests_on_open_connections_during_the_drain_get_503(start, upstream, held):
    proxy_server = await start()
    idle, busy = await proxy_server.connect(), await proxy_server.connect()
    busy.send(GET)
    await upstream.until(lambda: len(upstream.requests) == 1)
    proxy_server.stop()
    await until_refused(proxy_server)
    idle.send(GET)

    response = await idle.answer()

    assert (response.status, response.code) == (503, "DRAINING")
    assert (response.value("Connection"), response.value("Retry-After")) == ("close", "1")
    assert await idle.ends_cleanly()
    assert len(upstream.requests) == 1
    held.set()
    assert (await busy.answer()).value("Connection") == "close"
    assert await proxy_server.end()


@pytest.mark.asyncio
async def test_during_the_drain_delay_requests_are_served_and_readiness_fails(start, upstream):
    proxy_server = await start(timeouts=Timeouts(drain_delay_s=60))
    await proxy_server.ask(GET)
    before = await proxy_server.ask(READY)
    proxy_server.stop()
    await asyncio.sleep(0)

    after, served = await proxy_server.ask(READY), await proxy_server.ask(GET)

    assert (before.status, after.status, served.status) == (200, 503, 200)
    assert after.json["reasons"] == ["the proxy is shutting down"]
    proxy_server.stop()
    assert await proxy_server.end()


@pytest.mark.asyncio
async def test_the_drain_delay_ends_by_itself(start):
    proxy_server = await start(timeouts=Timeouts(drain_delay_s=0.05))

    clean = await proxy_server.end()

    assert clean


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["time", "force"])
async def test_a_drain_beyond_its_deadline_is_aborted(start, upstream, held, by):
    proxy_server = await start(timeouts=Timeouts(drain_s=0.1 if by == "time" else 60))
    conversation = await proxy_server.connect()
    conversation.send(GET)
    await upstream.until(lambda: len(upstream.requests) == 1)
    proxy_server.stop()
    if by == "force":
        proxy_server.stop()

    clean = await proxy_server.end()

    assert not clean
    assert await conversation.rest() == b""
    assert proxy_server.records[-2]["cut_short"] == 1


@pytest.mark.asyncio
async def test_an_unknown_clock_is_logged_and_retried_until_shutdown(start, upstream):
    upstream.tells_time = False
    upstream.answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    proxy_server = await start()
    async with asyncio.timeout(5):
        while not proxy_server.records:
            proxy_server.log.written.clear()
            await proxy_server.log.written.wait()

    clean = await proxy_server.end()

    assert clean
    assert proxy_server.records[0]["message"] == "cannot get the time from OVHcloud, retrying"
    assert proxy_server.records[0]["error"] == "CLOCK_UNKNOWN"


@pytest.mark.asyncio
async def test_an_empty_store_starts(start):
    proxy_server = await start(store=Store({}, None, "nowhere"))

    response = await proxy_server.ask(GET)

    assert (response.status, response.code) == (400, "BAD_REQUEST")


@pytest.mark.asyncio
async def test_library_log_records_are_kept_without_their_text(proxy_server):
    logger = logging.getLogger("asyncio")

    try:
        raise KeyError("hush")
    except KeyError:
        logger.exception("the secret is %s", "hush")
    logger.warning("the secret is hush")
    logging.getLogger("aiohttp.server").error("the secret is hush")

    records = [r for r in proxy_server.records if r["message"] == "a library reported a problem"]
    assert [(r["logger"], r.get("defect")) for r in records] == [
        ("asyncio", "KeyError"),
        ("asyncio", None),
    ]
    assert "hush" not in proxy_server.log.getvalue()


@pytest.mark.asyncio
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_requests_a_shutdown_and_a_second_one_forces_it(number):
    loop = asyncio.get_running_loop()
    stop = ShutdownRequest()
    handle_signals(stop)

    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.requested.wait(), 5)
    forced_by_the_first = stop.forced.is_set()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.forced.wait(), 5)
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGINT)

    assert not forced_by_the_first
    assert stop.signal == number
