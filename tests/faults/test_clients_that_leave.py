"""Clients that disconnect: their reads are canceled, and nothing is left behind."""

import asyncio

import pytest
from support.black_hole import black_hole
from support.leaving import HEALTH, WAYS, leave, outcomes
from support.names import changing, names
from support.scripts import stalling
from support.serving import call, sample

pytestmark = pytest.mark.asyncio

SAFE = ("GET", "HEAD", "OPTIONS")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", SAFE)
async def test_a_read_whose_client_disconnects_is_canceled_at_once(
    proxy_server, upstream, held, method, way
):
    began = asyncio.get_running_loop().time()

    await leave(proxy_server, upstream, call(method), way)

    await upstream.until(lambda: upstream.open == 0)
    assert asyncio.get_running_loop().time() - began < 1
    record = proxy_server.requests[0]
    assert (record["status"], record["attempts"]) == (499, 1)
    assert outcomes(proxy_server) == []


async def test_a_call_that_was_not_sent_yet_is_canceled(start, upstream):
    names().names["api.localhost"] = changing(("127.0.0.1",), ("127.0.0.2",))
    proxy_server = await start(base_url=f"http://api.localhost:{upstream.port}/1.0")
    client = await proxy_server.connect()

    with black_hole("127.0.0.2", upstream.port):
        client.send(call("POST"))
        while len(names().lookups) < 2:
            await proxy_server.ask(HEALTH)
        client.abort()
        await proxy_server.ask(HEALTH)

    record = next(one for one in proxy_server.requests if one["method"] == "POST")
    assert (record["status"], record["attempts"]) == (499, 1)
    assert upstream.calls == []


@pytest.mark.parametrize("sent", [1, 40, 60], ids=["its line", "its head", "its body"])
async def test_a_client_that_disconnects_in_its_request_sends_nothing(proxy_server, upstream, sent):
    text = call("POST", body=b"x" * 1000)
    client = await proxy_server.connect()
    client.send(text[:sent] if sent < 60 else text[:-1])
    await proxy_server.ask(HEALTH)

    client.abort()

    await proxy_server.ask(HEALTH)
    assert upstream.calls == []
    assert {record["status"] for record in proxy_server.requests} <= {200, 499}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_disconnects_within_its_response_ends_it(
    proxy_server, upstream, method
):
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    upstream.scripts = [stalling(begun + b"x")]
    client = await proxy_server.connect()
    client.send(call(method))
    await client.exactly(b"HTTP/1.1")

    client.abort()

    await upstream.until(lambda: upstream.open == 0)
    assert (await proxy_server.until_logged())[0]["status"] == 200


async def test_many_clients_that_disconnect_leave_nothing_behind(proxy_server, upstream, held):
    clients = [await proxy_server.connect() for _ in range(60)]
    for number, client in enumerate(clients):
        client.send(call("POST" if number % 2 else "GET", target=f"/{number}"))
    await upstream.until(lambda: len(upstream.calls) == 60)
    for number, client in enumerate(clients):
        [*WAYS.values()][number % 3](client)
    await upstream.until(lambda: upstream.open == 30)

    held.go.set()

    records = await proxy_server.until_logged(60)
    assert {record["status"] for record in records} == {499}
    assert [status for _, status, _ in outcomes(proxy_server)] == [200] * 30
    assert await sample(proxy_server, "ovh_proxy_requests_in_flight") == 1
