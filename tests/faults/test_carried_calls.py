"""A call that changes something completes, even if its client disconnects."""

import asyncio

import pytest
from support.leaving import WAYS, leave, outcomes
from support.serving import call, sample

from ovh_proxy.core.settings import Limits, Timeouts

pytestmark = pytest.mark.asyncio

UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "PURGE")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", UNSAFE)
async def test_a_call_that_changes_something_completes_without_its_client(
    proxy_server, upstream, held, method, way
):
    await leave(proxy_server, upstream, call(method), way)
    before = (
        upstream.open,
        len(proxy_server.requests),
        await sample(proxy_server, "ovh_proxy_requests_in_flight"),
    )

    held.go.set()

    await proxy_server.until_logged(3)
    record = next(one for one in proxy_server.requests if one["method"] == method)
    assert before == (1, 1, 2)  # the call, and the request for the metrics
    assert (record["status"], record["attempts"]) == (499, 1)
    assert outcomes(proxy_server) == [(record["request_id"], 200, None)]
    assert await sample(proxy_server, "ovh_proxy_requests_in_flight") == 1
    # The upstream connection can be reused.
    assert (await proxy_server.ask(call())).status == 200
    assert len(upstream.sides) == 1


@pytest.mark.parametrize("status", [201, 403, 500])
async def test_the_outcome_of_a_call_without_a_client_is_logged(
    proxy_server, upstream, held, status
):
    held.answer = b"HTTP/1.1 %d -\r\nContent-Length: 2\r\nX-Ovh-QueryId: a.b\r\n\r\n{}" % status
    await leave(proxy_server, upstream, call("POST"))

    held.go.set()

    record = (await proxy_server.until_logged(2))[1]
    assert (record["status"], record["query_id"]) == (499, "a.b")
    assert outcomes(proxy_server) == [(record["request_id"], status, None)]


@pytest.mark.parametrize(
    ("answer", "code"), [(b"", "UPSTREAM_TIMEOUT"), (b"SSH-2.0\r\n", "UPSTREAM_BROKEN")]
)
async def test_a_failure_without_a_client_is_logged(start, upstream, held, answer, code):
    proxy_server = await start(timeouts=Timeouts(answer_s=0.3))
    held.answer = answer
    await leave(proxy_server, upstream, call("POST"))

    held.go.set()

    record = (await proxy_server.until_logged(2))[1]
    assert (record["status"], record["error"]) == (499, code)
    assert outcomes(proxy_server) == [(record["request_id"], None, code)]
    await upstream.until(lambda: upstream.open == 0)


async def test_the_body_of_a_call_without_a_client_is_deleted_from_disk(start, upstream, held):
    proxy_server = await start(limits=Limits(memory_body_bytes=10))
    await leave(proxy_server, upstream, call("POST", body=b"x" * 1000))

    held.go.set()

    record = (await proxy_server.until_logged(2))[1]
    assert (record["status"], record["bytes_in"]) == (499, 1000)
    assert upstream.calls[0].body == b"x" * 1000


async def test_a_call_without_a_client_counts_as_in_flight_until_its_end(start, upstream, held):
    proxy_server = await start(limits=Limits(in_flight=1))
    await leave(proxy_server, upstream, call("POST"))

    refused = await proxy_server.ask(call())
    held.go.set()
    await proxy_server.until_logged(3)
    served = await proxy_server.ask(call())

    assert (refused.status, refused.code) == (503, "OVERLOADED")
    assert served.status == 200


@pytest.mark.parametrize("is_in_time", [True, False], ids=["it ends in time", "it does not"])
async def test_a_drain_waits_for_a_call_without_a_client(start, upstream, held, is_in_time):
    proxy_server = await start(timeouts=Timeouts(drain_s=5 if is_in_time else 0.1))
    await leave(proxy_server, upstream, call("POST"))
    ending = asyncio.ensure_future(proxy_server.end())
    if is_in_time:
        held.go.set()

    clean = await ending

    assert clean == is_in_time
    assert proxy_server.requests[-1]["status"] == 499
    assert [status for _, status, _ in outcomes(proxy_server)] == [200 if is_in_time else None]
    records = {one["message"]: one for one in proxy_server.records}
    assert records["stopping"]["in_flight"] == 1
    assert records["stopped"]["cut_short"] == (0 if is_in_time else 1)
