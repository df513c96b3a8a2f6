"""429 and 503 are forwarded unchanged; if enabled, reads wait as long as `Retry-After` says."""

import asyncio

import pytest
from support.leaving import HEALTH
from support.scripts import in_turn
from support.serving import Outcome, call, outcome_of

from ovh_proxy.core.settings import Retries

pytestmark = pytest.mark.asyncio

SAFE = ("GET", "HEAD", "OPTIONS")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "PURGE")
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def busy(status: int, retry_after: int = 0) -> bytes:
    """A response with `Retry-After`."""
    fields = f"Retry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n"
    return f"HTTP/1.1 {status} Busy\r\n{fields}".encode()


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_response_with_retry_after_is_forwarded_unchanged(
    proxy_server, upstream, status, method
):
    upstream.scripts = [in_turn(busy(status, 7))]

    answer = await proxy_server.ask(call(method))

    assert (answer.status, answer.value("Retry-After"), answer.code) == (status, "7", None)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("method", SAFE + UNSAFE)
@pytest.mark.parametrize("status", [429, 503])
async def test_if_enabled_safe_calls_wait_for_retry_after(start, upstream, status, method):
    proxy_server = await start(retries=Retries(on_status=frozenset({429, 503})))
    upstream.scripts = [in_turn(busy(status), busy(status), EMPTY)]

    outcome = await outcome_of(proxy_server, upstream, call(method))

    again = Outcome(200, attempts=3, arrived=3)
    assert outcome == (again if method in SAFE else Outcome(status))
    assert upstream.wrong_signatures() == []


async def test_waiting_ends_with_the_attempts(start, upstream):
    proxy_server = await start(retries=Retries(attempts=2, on_status=frozenset({503})))
    upstream.scripts = [in_turn(busy(503), busy(503), EMPTY)]

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(503, attempts=2, arrived=2)


async def test_a_call_that_waited_is_signed_with_its_new_time(start, upstream):
    proxy_server = await start(retries=Retries(on_status=frozenset({503})))
    upstream.scripts = [in_turn(busy(503, 1), EMPTY)]
    began = asyncio.get_running_loop().time()

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(200, attempts=2, arrived=2)
    assert 1 <= asyncio.get_running_loop().time() - began < 3
    first, second = (int(one.value("X-Ovh-Timestamp")) for one in upstream.calls)
    assert second - first in (1, 2)
    assert upstream.wrong_signatures() == []


async def test_a_response_with_a_long_retry_after_is_forwarded_at_once(start, upstream):
    proxy_server = await start(retries=Retries(on_status=frozenset({503})))
    upstream.scripts = [in_turn(busy(503, 31), EMPTY)]

    answer = await proxy_server.ask(call())

    assert (answer.status, answer.value("Retry-After"), answer.code) == (503, "31", None)
    assert len(upstream.calls) == 1


async def test_a_client_that_disconnects_ends_the_wait(start, upstream):
    proxy_server = await start(retries=Retries(on_status=frozenset({503})))
    upstream.scripts = [in_turn(busy(503, 30), EMPTY)]
    client = await proxy_server.connect()
    client.send(call())
    await upstream.until(lambda: len(upstream.calls) == 1)
    await proxy_server.ask(HEALTH)  # by now, the response has been read

    client.abort()

    record = (await proxy_server.until_logged(2))[1]
    assert (record["path"], record["status"], record["attempts"]) == ("/me", 499, 1)
    assert len(upstream.calls) == 1
