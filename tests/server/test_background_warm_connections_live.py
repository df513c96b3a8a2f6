"""Connections opened in advance, in an event loop whose time can leap."""

import io
import json
import socket
from collections.abc import Iterator

import pytest
from support.leaping_loop import leap, run
from support.warm_app import clock_server, settings_of, warm_app

from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.logs import Log
from ovh_proxy.server.app import App, build
from ovh_proxy.server.background import RETRY_S, WARM_S, keep_connections_warm


def called(app: App, port: int) -> None:
    """Records a call of a client."""
    exchange = Exchange(0.0)
    exchange.profile, exchange.status, exchange.attempts.count = f"p{port}", 200, 1
    app.metrics.count(exchange, 1.0)


def test_every_endpoint_gets_a_connection_and_its_clock_is_fetched() -> None:
    async def heads() -> list[list[bytes]]:
        async with (
            clock_server() as one,
            clock_server() as other,
            warm_app(one.port, other.port) as running,
        ):
            await running.until_ready()
            assert (one.open, other.open, running.app.client.pool.made) == (1, 1, 2)
            return [one.heads, other.heads]

    for (head,) in run(heads()):
        assert head.startswith(b"GET /1.0/auth/time ")


def test_a_closed_connection_is_reopened_without_a_request() -> None:
    async def seen() -> tuple[int, int]:
        async with clock_server() as server, warm_app(server.port) as running:
            await running.until_ready()
            server.sides[0].end()
            await running.until(lambda: server.open == 0)
            await running.next_polls()
            await leap(RETRY_S)
            await running.until(lambda: len(server.sides) == 2)
            return len(server.heads), server.open

    assert run(seen()) == (1, 1)


def test_a_connection_that_lasted_for_a_while_is_reopened_at_once() -> None:
    async def connections() -> int:
        async with clock_server() as server, warm_app(server.port) as running:
            await running.until_ready()
            await leap(RETRY_S)
            await running.next_polls()
            server.sides[0].end()
            await running.until(lambda: len(server.sides) == 2)
            return server.open

    assert run(connections()) == 1


def test_an_unused_endpoint_gets_no_connection_until_the_next_call() -> None:
    async def connections() -> list[int]:
        async with clock_server() as server, warm_app(server.port) as running:
            await running.until_ready()
            await leap(WARM_S + 1)
            await running.until(lambda: server.open == 0)
            await running.next_polls()
            made = [len(server.sides)]
            called(running.app, server.port)
            await running.until(lambda: server.open == 1)
            return [*made, len(server.sides)]

    assert run(connections()) == [1, 2]


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A bound port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_failure_is_logged_at_debug_level_and_retried_later(refused_port: int) -> None:
    async def attempts() -> list[int]:
        async with warm_app(refused_port) as running:
            lines = []
            for seconds in (0, RETRY_S, RETRY_S):
                await leap(seconds)
                await running.next_polls()
                lines.append(len(running.log.getvalue().splitlines()))
            record = json.loads(running.log.getvalue().splitlines()[0])
            assert (record["level"], record["error"]) == ("debug", "UPSTREAM_UNREACHABLE")
            return lines

    assert run(attempts()) == [1, 1, 2]


def test_changed_settings_are_warmed_as_at_the_start() -> None:
    async def heads() -> list[int]:
        async with clock_server() as one, clock_server() as other, warm_app(one.port) as running:
            await running.until_ready()
            before = [len(one.heads), len(other.heads)]
            running.app.live.replace(settings_of(one.port, other.port))
            await running.until_ready()
            return [*before, len(one.heads), len(other.heads)]

    assert run(heads()) == [1, 0, 1, 1]


def test_connections_from_before_a_suspend_are_not_used() -> None:
    async def connections() -> list[int]:
        async with clock_server() as server, warm_app(server.port) as running:
            await running.until_ready()
            running.suspended_s = 3600.0
            await running.until(lambda: server.open == 0)
            await leap(RETRY_S)
            await running.until(lambda: server.open == 1)
            await running.next_polls()
            return [len(server.sides), server.open]

    assert run(connections()) == [2, 1]


def test_nothing_is_opened_after_a_shutdown_request() -> None:
    async def opened() -> int:
        async with clock_server() as server:
            app = build(settings_of(server.port), Log("debug", "json", io.StringIO()))
            app.server_state.is_stopping = True
            await keep_connections_warm(app)
            await app.close()
            return len(server.sides)

    assert run(opened()) == 0
