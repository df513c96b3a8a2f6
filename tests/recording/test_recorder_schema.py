import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.raw_server import RawServer, Side
from support.upstream_pool import MakePool

from ovh_proxy.core.endpoints import Endpoint, parse_endpoint
from ovh_proxy.core.errors import UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.recording.recorder import RETRY_AFTER_S, SchemaClient
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.upstream.pool import Pool

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The sandbox, which serves its schema."""
    async with Sandbox() as running:
        yield running


@pytest.fixture
def endpoint(sandbox: Sandbox) -> Endpoint:
    """The sandbox as an endpoint."""
    return parse_endpoint(sandbox.base_url)


def _asked(sandbox: Sandbox) -> list[bytes]:
    return [request.target for request in sandbox.requests]


@pytest.mark.parametrize(
    ("path", "pattern", "asked"),
    [
        (
            "/dedicated/server/anything/burst",
            "/dedicated/server/*/burst",
            [b"/1.0/", b"/1.0/dedicated/server.json"],
        ),
        ("/domain/zone/x/record/7", "/domain/zone/*/record/*", [b"/1.0/", b"/1.0/domain.json"]),
    ],
)
async def test_only_the_section_of_a_path_is_fetched(
    sandbox: Sandbox, endpoint: Endpoint, pool: Pool, path: str, pattern: str, asked: list[bytes]
) -> None:
    templates = await SchemaClient(pool).find(endpoint, path)

    assert templates is not None
    assert templates.pattern(path) == pattern
    assert _asked(sandbox) == asked


async def test_v2_has_its_own_schema(sandbox: Sandbox, endpoint: Endpoint, pool: Pool) -> None:
    templates = await SchemaClient(pool).find(endpoint, "/v2/iam/policy")

    assert templates is not None
    assert _asked(sandbox) == [b"/v2/", b"/v2/iam.json"]


async def test_nothing_is_fetched_twice(sandbox: Sandbox, endpoint: Endpoint, pool: Pool) -> None:
    schemas = SchemaClient(pool)
    await schemas.find(endpoint, "/me/bill/1")

    await schemas.find(endpoint, "/me/bill/2")

    assert _asked(sandbox) == [b"/1.0/", b"/1.0/me.json"]


async def test_the_schema_request_is_not_signed(
    sandbox: Sandbox, endpoint: Endpoint, pool: Pool
) -> None:
    await SchemaClient(pool).find(endpoint, "/me")

    names = {name.lower() for request in sandbox.requests for name, _ in request.headers}
    assert not [name for name in names if name.startswith((b"x-ovh", b"authorization"))]


@pytest.mark.parametrize("path", ["/unknown/1", "/me/unknown", "/"])
async def test_an_unknown_path_has_no_templates(endpoint: Endpoint, pool: Pool, path: str) -> None:
    assert await SchemaClient(pool).find(endpoint, path) is None


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.parametrize(
    "response",
    [_answer(b"503 Unavailable", b"<html>"), _answer(b"200 OK", b"<html>"), b"garbage\r\n\r\n"],
    ids=["refused", "no schema", "no HTTP"],
)
async def test_a_failed_schema_request_is_repeated_after_a_minute(
    server: RawServer, pool: Pool, response: bytes
) -> None:
    async def script(side: Side) -> None:
        await side.answer(response)

    index = json.dumps({"apis": []}).encode()

    async def mended(side: Side) -> None:
        await side.answer(_answer(b"200 OK", index))

    now = [0.0]
    server.scripts = [script, mended]
    endpoint = parse_endpoint(f"{server.url}/1.0")
    schemas = SchemaClient(pool, lambda: now[0])
    with pytest.raises(UpstreamBroken):
        await schemas.find(endpoint, "/me")

    now[0] = RETRY_AFTER_S - 1
    with pytest.raises(UpstreamFailed, match="next attempt"):
        await schemas.find(endpoint, "/me")
    now[0] = RETRY_AFTER_S

    assert await schemas.find(endpoint, "/me") is None


async def test_a_silent_endpoint_times_out(make_pool: MakePool, server: RawServer) -> None:
    async def silent(side: Side) -> None:
        await side.request()
        await side.until_gone()

    server.scripts = [silent]
    schemas = SchemaClient(make_pool(), timeout_s=0.05)

    async with asyncio.timeout(5):
        with pytest.raises(UpstreamTimeout):
            await schemas.find(parse_endpoint(f"{server.url}/1.0"), "/me")


async def test_a_closed_idle_connection_is_retried(server: RawServer, pool: Pool) -> None:
    index = json.dumps({"apis": [{"path": "/me"}]}).encode()
    section = json.dumps({"apis": [{"path": "/me", "operations": [{}]}]}).encode()

    async def ends(side: Side) -> None:
        await side.answer(_answer(b"200 OK", index))
        await side.request()

    async def goes_on(side: Side) -> None:
        await side.answer(_answer(b"200 OK", section))

    server.scripts = [ends, goes_on]

    templates = await SchemaClient(pool).find(parse_endpoint(f"{server.url}/1.0"), "/me")

    assert templates is not None
