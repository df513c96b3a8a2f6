"""Overload: excess calls are rejected at once, admitted ones served; clients get fair shares."""

import asyncio
import hashlib

import pytest
from support.proxy_server import Conversation, ProxyServer
from support.serving import call

from ovh_proxy.core.settings import Client, Limits, Upstream

pytestmark = pytest.mark.asyncio

CLIENTS = tuple(Client(name, hashlib.sha256(name.encode()).digest()) for name in ("ci", "me", "us"))


def call_of(name: str, method: str = "GET", body: bytes = b"") -> bytes:
    return call(method, f"Authorization: Bearer {name}", body=body)


async def send(proxy_server: ProxyServer, count: int, text: bytes) -> list[Conversation]:
    """Sends a number of calls at once, each on its own connection."""
    conversations = [await proxy_server.connect() for _ in range(count)]
    for conversation in conversations:
        conversation.send(text)
    return conversations


# Limits.


async def test_an_excess_call_is_rejected_within_milliseconds(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=3))
    inside = await send(proxy_server, 3, call())
    await upstream.until(lambda: len(upstream.calls) == 3)
    loop, times = asyncio.get_running_loop(), []
    outside = await proxy_server.connect()

    for _ in range(50):
        began = loop.time()
        outside.send(call())
        answer = await outside.answer()
        times.append(loop.time() - began)
        assert (answer.status, answer.code) == (503, "OVERLOADED")
        assert answer.value("Retry-After") == "1"

    assert sorted(times)[25] < 0.02
    assert max(times) < 0.5
    held.go.set()
    assert [(await one.answer()).status for one in inside] == [200] * 3
    assert len(upstream.calls) == 3


async def test_of_a_burst_as_many_calls_are_served_as_the_limit_allows(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=10))
    conversations = await send(proxy_server, 100, call())
    await proxy_server.until_logged(90)

    held.go.set()

    statuses = [(await one.answer()).status for one in conversations]
    assert (statuses.count(200), statuses.count(503)) == (10, 90)
    assert len(upstream.calls) == 10


async def test_an_excess_body_is_rejected_at_once_and_the_others_are_served(start, upstream, held):
    proxy_server = await start(limits=Limits(memory_bodies_bytes=1000))
    inside = await send(proxy_server, 2, call("PUT", body=b"x" * 400))
    await upstream.until(lambda: len(upstream.calls) == 2)

    answer = await proxy_server.ask(call("PUT", body=b"x" * 400))

    assert (answer.status, answer.code, answer.value("Retry-After")) == (503, "OVERLOADED", "1")
    held.go.set()
    assert [(await one.answer()).status for one in inside] == [200] * 2
    assert len(upstream.calls) == 2
    assert (await proxy_server.ask(call("PUT", body=b"x" * 1000))).status == 200


async def test_calls_above_the_connection_limit_wait_and_are_served(start, upstream):
    proxy_server = await start(upstream=Upstream(connections=2))

    answers = await asyncio.gather(*(proxy_server.ask(call(target=f"/{n}")) for n in range(60)))

    assert {answer.status for answer in answers} == {200}
    assert len(upstream.sides) == 2
    assert sorted(one.target for one in upstream.calls) == sorted(f"/1.0/{n}" for n in range(60))


# Fairness.


async def test_no_client_takes_all_of_the_capacity(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=12), clients=CLIENTS)
    greedy = await send(proxy_server, 30, call_of("ci"))
    await proxy_server.until_logged(21)
    others = await send(proxy_server, 1, call_of("me")) + await send(proxy_server, 1, call_of("us"))
    await upstream.until(lambda: len(upstream.calls) == 11)

    held.go.set()

    statuses = [(await one.answer()).status for one in greedy]
    assert (statuses.count(200), statuses.count(503)) == (9, 21)
    assert [(await one.answer()).status for one in others] == [200, 200]
    message = next(one for one in proxy_server.requests if one["status"] == 503)
    assert message["error"] == "OVERLOADED"


async def test_a_rejection_for_fairness_names_the_client_and_the_limit(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=4), clients=CLIENTS)
    await send(proxy_server, 3, call_of("ci"))
    await upstream.until(lambda: len(upstream.calls) == 3)

    answer = await proxy_server.ask(call_of("ci"))

    assert (answer.status, answer.code, answer.value("Retry-After")) == (503, "OVERLOADED", "1")
    assert "client ci" in answer.json["message"]
    assert "limits.in_flight" in answer.json["message"]
    assert len(upstream.calls) == 3


@pytest.mark.parametrize("clients", [(), CLIENTS[:1]], ids=["no clients", "one client"])
async def test_a_single_client_may_use_the_whole_capacity(start, upstream, held, clients):
    proxy_server = await start(limits=Limits(in_flight=8), clients=clients)

    conversations = await send(proxy_server, 9, call_of("ci"))

    await proxy_server.until_logged(1)
    await upstream.until(lambda: len(upstream.calls) == 8)
    held.go.set()
    assert sorted([(await one.answer()).status for one in conversations]) == [200] * 8 + [503]


async def test_no_client_takes_all_of_the_memory(start, upstream, held):
    proxy_server = await start(limits=Limits(memory_bodies_bytes=1200), clients=CLIENTS)
    greedy = await send(proxy_server, 12, call_of("ci", "PUT", b"x" * 100))
    await proxy_server.until_logged(3)
    other = await send(proxy_server, 1, call_of("me", "PUT", b"x" * 100))
    await upstream.until(lambda: len(upstream.calls) == 10)

    held.go.set()

    statuses = [(await one.answer()).status for one in greedy]
    assert (statuses.count(200), statuses.count(503)) == (9, 3)
    assert (await other[0].answer()).status == 200


async def test_a_rejected_client_is_admitted_once_it_has_capacity(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=4), clients=CLIENTS)
    first = await send(proxy_server, 3, call_of("ci"))
    await upstream.until(lambda: len(upstream.calls) == 3)
    assert (await proxy_server.ask(call_of("ci"))).status == 503
    held.go.set()
    for one in first:
        await one.answer()

    answer = await proxy_server.ask(call_of("ci"))

    assert answer.status == 200
