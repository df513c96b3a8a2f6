"""The requests of one connection, including identical ones."""

import asyncio
import json

import pytest
from support.proxy_server import Conversation

from ovh_proxy.core.settings import Client, Listener, TcpAddress

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n\r\n"
OTHER = b"GET /other?k=v HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
CLOSING = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
REFUSED = b"GET /me HTTP/1.1\r\nHost: evil.example\r\n\r\n"


@pytest.mark.asyncio
async def test_a_repeated_request_is_forwarded_unchanged(proxy_server, upstream):
    conversation = await proxy_server.connect()

    for text in (GET, GET, OTHER, GET, GET):
        conversation.send(text)
        assert (await conversation.answer()).status == 200

    targets = [request.target for request in upstream.requests]
    assert targets == ["/1.0/me", "/1.0/me", "/1.0/other?k=v", "/1.0/me", "/1.0/me"]
    repeated = [request for request in upstream.requests if request.target == "/1.0/me"]
    assert all(request.value("X-A") == "1" for request in repeated)


@pytest.mark.asyncio
async def test_each_repetition_has_its_own_id_and_log_line(proxy_server):
    conversation = await proxy_server.connect()

    for _ in range(3):
        conversation.send(OTHER)
        await conversation.answer()

    lines = await proxy_server.until_logged(3)
    assert len({line["request_id"] for line in lines}) == 3
    rest = [(line["profile"], line["path"], line["client"], line["status"]) for line in lines]
    assert rest == [("personal", "/other?k", "-", 200)] * 3


@pytest.mark.asyncio
async def test_a_body_is_never_mistaken_for_the_previous_one(proxy_server, upstream):
    conversation = await proxy_server.connect()

    for body in (b"one", b"two", b""):
        conversation.send(POST % (len(body), body))
        await conversation.answer()
    conversation.send(POST % (0, b""))
    await conversation.answer()

    assert [request.body for request in upstream.requests] == [b"one", b"two", b"", b""]


@pytest.mark.asyncio
async def test_a_rejected_request_is_rejected_again(proxy_server, upstream):
    conversation = await proxy_server.connect()

    codes = []
    for text in (GET, REFUSED, REFUSED, GET):
        conversation.send(text)
        codes.append((await conversation.answer()).code)

    assert codes == [None, "HOST_REFUSED", "HOST_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_identical_requests_in_one_packet_all_get_a_response(proxy_server, upstream):
    conversation = await proxy_server.connect()
    conversation.send(GET)
    await conversation.answer()

    conversation.send(GET * 5)
    answers = [await conversation.answer() for _ in range(5)]

    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) == 6


@pytest.mark.asyncio
async def test_a_decision_for_one_listener_does_not_apply_to_another(start, upstream):
    one, two = (
        Listener(TcpAddress("127.0.0.1", 0), clients=frozenset({name})) for name in ("a", "b")
    )
    proxy_server = await start(
        listen=(one, two), clients=(Client("a", _digest("ta")), Client("b", _digest("tb")))
    )
    text = b"GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ta\r\n\r\n"

    codes = [(await proxy_server.ask(text, listener)).code for listener in (0, 1, 0)]

    assert codes == [None, "CLIENT_TOKEN_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_a_request_repeated_on_other_connections_is_forwarded(proxy_server, upstream):
    first = await proxy_server.connect()
    first.send(GET)
    await first.answer()

    answers = [await proxy_server.ask(CLOSING) for _ in range(3)]

    assert [(one.status, one.value("Connection")) for one in answers] == [(200, "close")] * 3
    assert [request.target for request in upstream.requests] == ["/1.0/me"] * 4
    assert len({line["request_id"] for line in await proxy_server.until_logged(4)}) == 4


@pytest.mark.asyncio
async def test_nothing_is_served_after_a_repeated_request_that_closes(proxy_server, upstream):
    first = await proxy_server.connect()
    first.send(GET)
    await first.answer()

    for _ in range(2):
        conversation = await proxy_server.connect()
        conversation.send(CLOSING)
        conversation.send(OTHER)
        received = await conversation.rest()
        assert received.count(b"HTTP/1.1 200") == 1

    assert [request.target for request in upstream.requests] == ["/1.0/me"] * 3


@pytest.mark.asyncio
async def test_different_ways_to_close_are_not_mistaken_for_each_other(proxy_server, upstream):
    first = await proxy_server.connect()
    upgrading = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n"

    for text in (upgrading, b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n"):
        for _ in range(2):
            answer = await proxy_server.ask(text)
            assert (answer.status, answer.value("Connection")) == (200, "close")

    first.send(GET)
    assert (await first.answer()).value("Connection") is None


@pytest.mark.asyncio
async def test_a_decision_for_one_address_of_a_listener_does_not_apply_to_another(start, upstream):
    proxy_server = await start(listen=(Listener(TcpAddress("0.0.0.0", 0)),), allow_open=True)
    text = b"GET /me HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n"

    codes = []
    for address in ("127.0.0.2", "127.0.0.1", "127.0.0.2"):
        try:
            ends = await asyncio.open_connection(address, proxy_server.port)
        except OSError:
            pytest.skip(f"this system has no {address}")
        proxy_server.conversations.append(Conversation(*ends))
        proxy_server.conversations[-1].send(text)
        codes.append((await proxy_server.conversations[-1].answer()).code)

    assert codes == [None, "HOST_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_repeated_own_routes_get_a_new_response(proxy_server, upstream):
    conversation = await proxy_server.connect()
    text = b"GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

    pages = []
    for _ in range(2):
        conversation.send(text)
        pages.append((await conversation.answer()).body)

    assert b"ovh_proxy_requests_in_flight 1.0" in pages[1]
    assert pages[0] != pages[1]
    assert json.loads(proxy_server.log.getvalue().splitlines()[-1])["path"] == "/-/metrics"


def _digest(token: str) -> bytes:
    import hashlib

    return hashlib.sha256(token.encode()).digest()
