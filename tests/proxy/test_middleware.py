"""Request IDs, error responses, defects, and log records of every request."""

import gc
import weakref

import pytest

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.settings import Client
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.logs import Log
from ovh_proxy.observability.metrics import Metrics
from ovh_proxy.proxy.admin_routes import ServerState
from ovh_proxy.proxy.middleware import Middleware

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [b"abc-1", b"A.b_c:9", b"x" * 128])
async def test_a_valid_request_id_of_the_client_is_used(proxy_server, upstream, given):
    answer = await proxy_server.ask(
        b"GET /me HTTP/1.1\r\nHost: localhost\r\nX-Ovh-Proxy-Request-Id: " + given + b"\r\n\r\n"
    )

    assert answer.values("X-Ovh-Proxy-Request-Id") == [given.decode()]
    [record] = await proxy_server.until_logged()
    assert record["request_id"] == given.decode()
    assert upstream.requests[0].values("X-Ovh-Proxy-Request-Id") == []


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"caf\xc3\xa9", b"<script>", b'"'])
async def test_an_invalid_request_id_is_replaced(proxy_server, given):
    answer = await proxy_server.ask(
        b"GET /me HTTP/1.1\r\nHost: localhost\r\nX-Ovh-Proxy-Request-Id: " + given + b"\r\n\r\n"
    )

    [made] = answer.values("X-Ovh-Proxy-Request-Id")
    assert len(made) == 32
    assert int(made, 16)


@pytest.mark.asyncio
async def test_each_request_has_its_own_id(proxy_server):
    conversation = await proxy_server.connect()
    conversation.send(GET * 5)

    ids = {(await conversation.answer()).value("X-Ovh-Proxy-Request-Id") for _ in range(5)}

    assert len(ids) == 5


@pytest.mark.asyncio
async def test_an_error_response_to_head_has_a_length_and_no_body(proxy_server):
    conversation = await proxy_server.connect()
    conversation.send(b"HEAD /@unknown/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = await conversation.answer("HEAD")
    conversation.send(GET)

    answer = await conversation.answer()

    assert (head.status, answer.status) == (404, 200)
    assert int(head.value("Content-Length")) > 10


@pytest.mark.asyncio
async def test_a_missing_token_gets_401_with_the_schemes(start, upstream):
    proxy_server = await start(clients=(Client("ci", b"\x00" * 32),))

    answer = await proxy_server.ask(GET)

    assert (answer.status, answer.code) == (401, "CLIENT_TOKEN_REQUIRED")
    assert "Bearer" in answer.value("WWW-Authenticate")
    assert upstream.requests == []


class Broken:
    """A handler with a defect, whose text contains a secret."""

    def __init__(self, has_begun: bool) -> None:
        self._has_begun = has_begun

    async def __call__(self, request, connection, exchange: Exchange):
        if self._has_begun:
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            exchange.has_begun = True
        raise KeyError("the secret of Mrs Hudson")


class Chunk(bytearray):
    """A part of a body that a weak reference can refer to."""


class Refusing:
    """A handler that rejects a request after it has read some of the body."""

    async def __call__(self, request, connection, exchange: Exchange):
        chunk = Chunk(b"x")
        self.chunk = weakref.ref(chunk)
        raise Overloaded("too much of it")


@pytest.fixture
def broken_server(upstream, kept_loggers):
    """Serves a handler with a defect on a free port."""
    import asyncio
    import contextlib
    import io

    from ovh_proxy.core.settings import Limits, Listener, TcpAddress, Timeouts
    from ovh_proxy.http1.connection import ClientServer
    from ovh_proxy.listeners.listener import open_listener

    @contextlib.asynccontextmanager
    async def serving(handler):
        text = io.StringIO()
        middleware = Middleware(handler, Log("debug", "json", text), Metrics(), ServerState())
        listener = Listener(TcpAddress("127.0.0.1", 0))
        server = ClientServer(middleware, listener, Limits(), Timeouts())
        opened = await open_listener(listener, server)
        port = int(opened.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer, text
        writer.close()
        opened.close()
        await server.shutdown(0.1)

    return serving


@pytest.mark.asyncio
async def test_a_defect_gets_500_and_discloses_nothing(broken_server, capfd):
    async with broken_server(Broken(has_begun=False)) as (reader, writer, log):
        writer.write(GET)
        received = await reader.readuntil(b"\r\n\r\n") + await reader.readuntil(b"\n")

    shown = received.decode() + log.getvalue() + "".join(capfd.readouterr())
    assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"X-Ovh-Proxy-Error: INTERNAL_ERROR" in received
    assert "KeyError in __call__:" in log.getvalue()
    assert "Mrs Hudson" not in shown
    assert "Traceback" not in shown


@pytest.mark.asyncio
async def test_a_defect_within_a_response_aborts_the_connection(broken_server):
    async with broken_server(Broken(has_begun=True)) as (reader, writer, log):
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            await reader.read()

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert "INTERNAL_ERROR" in log.getvalue()


@pytest.mark.asyncio
async def test_a_client_that_disconnects_before_its_error_response_is_logged_as_499(proxy_server):
    for _ in range(20):
        conversation = await proxy_server.connect()
        conversation.send(b"garbage\r\n\r\n")
        conversation.abort()

    answer = await proxy_server.ask(GET)

    assert answer.status == 200
    assert {r["status"] for r in proxy_server.requests} <= {200, 400, 499}


@pytest.mark.asyncio
async def test_the_memory_of_a_rejected_request_is_free_at_once(broken_server):
    handler = Refusing()
    gc.disable()  # the garbage collector would run too late when many requests are rejected
    try:
        async with broken_server(handler) as (reader, writer, _):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")

            assert handler.chunk() is None
    finally:
        gc.enable()
