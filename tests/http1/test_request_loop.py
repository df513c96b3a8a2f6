"""The requests of one connection, one after the other, the very same ones included."""

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
async def test_a_request_said_again_arrives_again_as_it_is(front, upstream):
    conversation = await front.connect()

    for text in (GET, GET, OTHER, GET, GET):
        conversation.send(text)
        assert (await conversation.answer()).status == 200

    targets = [request.target for request in upstream.requests]
    assert targets == ["/1.0/me", "/1.0/me", "/1.0/other?k=v", "/1.0/me", "/1.0/me"]
    again = [request for request in upstream.requests if request.target == "/1.0/me"]
    assert all(request.value("X-A") == "1" for request in again)


@pytest.mark.asyncio
async def test_each_time_it_has_an_id_and_a_log_line_of_its_own(front):
    conversation = await front.connect()

    for _ in range(3):
        conversation.send(OTHER)
        await conversation.answer()

    lines = await front.until_logged(3)
    assert len({line["request_id"] for line in lines}) == 3
    kept = [(line["profile"], line["path"], line["client"], line["status"]) for line in lines]
    assert kept == [("personal", "/other?k", "-", 200)] * 3


@pytest.mark.asyncio
async def test_a_body_is_never_taken_for_the_one_before(front, upstream):
    conversation = await front.connect()

    for body in (b"one", b"two", b""):
        conversation.send(POST % (len(body), body))
        await conversation.answer()
    conversation.send(POST % (0, b""))
    await conversation.answer()

    assert [request.body for request in upstream.requests] == [b"one", b"two", b"", b""]


@pytest.mark.asyncio
async def test_a_refusal_said_again_is_refused_again(front, upstream):
    conversation = await front.connect()

    codes = []
    for text in (GET, REFUSED, REFUSED, GET):
        conversation.send(text)
        codes.append((await conversation.answer()).code)

    assert codes == [None, "HOST_REFUSED", "HOST_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_the_same_ones_in_one_packet_are_all_answered(front, upstream):
    conversation = await front.connect()
    conversation.send(GET)
    await conversation.answer()

    conversation.send(GET * 5)
    answers = [await conversation.answer() for _ in range(5)]

    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) == 6


@pytest.mark.asyncio
async def test_what_was_decided_on_one_connection_opens_no_other_listener(start, upstream):
    one, two = (
        Listener(TcpAddress("127.0.0.1", 0), clients=frozenset({name})) for name in ("a", "b")
    )
    front = await start(
        listen=(one, two), clients=(Client("a", _digest("ta")), Client("b", _digest("tb")))
    )
    text = b"GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ta\r\n\r\n"

    codes = [(await front.ask(text, listener)).code for listener in (0, 1, 0)]

    assert codes == [None, "CLIENT_TOKEN_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_a_request_said_again_on_other_connections_arrives_again(front, upstream):
    standing = await front.connect()
    standing.send(GET)
    await standing.answer()

    answers = [await front.ask(CLOSING) for _ in range(3)]

    assert [(one.status, one.value("Connection")) for one in answers] == [(200, "close")] * 3
    assert [request.target for request in upstream.requests] == ["/1.0/me"] * 4
    assert len({line["request_id"] for line in await front.until_logged(4)}) == 4


@pytest.mark.asyncio
async def test_nothing_is_served_behind_a_request_that_closes_said_again_or_not(front, upstream):
    standing = await front.connect()
    standing.send(GET)
    await standing.answer()

    for _ in range(2):
        conversation = await front.connect()
        conversation.send(CLOSING)
        conversation.send(OTHER)
        received = await conversation.rest()
        assert received.count(b"HTTP/1.1 200") == 1

    assert [request.target for request in upstream.requests] == ["/1.0/me"] * 3


@pytest.mark.asyncio
async def test_one_way_to_close_is_not_taken_for_another(front, upstream):
    standing = await front.connect()
    upgrading = b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n"

    for text in (upgrading, b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n"):
        for _ in range(2):
            answer = await front.ask(text)
            assert (answer.status, answer.value("Connection")) == (200, "close")

    standing.send(GET)
    assert (await standing.answer()).value("Connection") is None


@pytest.mark.asyncio
async def test_what_was_decided_of_one_address_of_a_listener_holds_for_no_other(start, upstream):
    front = await start(listen=(Listener(TcpAddress("0.0.0.0", 0)),), allow_open=True)
    text = b"GET /me HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n"

    codes = []
    for address in ("127.0.0.2", "127.0.0.1", "127.0.0.2"):
        try:
            ends = await asyncio.open_connection(address, front.port)
        except OSError:
            pytest.skip(f"this system has no {address}")
        front.conversations.append(Conversation(*ends))
        front.conversations[-1].send(text)
        codes.append((await front.conversations[-1].answer()).code)

    assert codes == [None, "HOST_REFUSED", None]
    assert len(upstream.requests) == 2


@pytest.mark.asyncio
async def test_own_routes_said_again_are_answered_anew(front, upstream):
    conversation = await front.connect()
    text = b"GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

    pages = []
    for _ in range(2):
        conversation.send(text)
        pages.append((await conversation.answer()).body)

    assert b"ovh_proxy_requests_in_flight 1.0" in pages[1]
    assert pages[0] != pages[1]
    assert json.loads(front.log.getvalue().splitlines()[-1])["path"] == "/-/metrics"


def _digest(token: str) -> bytes:
    import hashlib

    return hashlib.sha256(token.encode()).digest()
