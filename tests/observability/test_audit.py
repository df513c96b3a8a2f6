"""The audit log of requests: client, call and outcome."""

import asyncio
import hashlib
import json
import os
import re
import sys

import pytest
from support.workers import until

from ovh_proxy.core.settings import Client, LogSettings, TcpAddress

pytestmark = pytest.mark.asyncio

TOKEN = "hush-token"
CI = Client("ci", hashlib.sha256(TOKEN.encode()).digest())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def start_audited(start, path):
    """Starts servers with an audit log."""

    async def starting(**changes):
        return await start(log=LogSettings(audit=str(path)), **changes)

    return starting


@pytest.fixture
def lines(path):
    """Waits for a number of lines, and reads them."""

    async def reading(count=1):
        await until(lambda: path.read_text().count("\n") >= count)
        return [json.loads(line) for line in path.read_text().splitlines()]

    return reading


async def test_a_call_is_one_audit_line(start_audited, upstream, lines, request_bytes):
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nX-Ovh-QueryID: EU.ext-1.abc\r\nContent-Length: 2\r\n\r\nhi"
    )
    proxy_server = await start_audited(clients=(CI,))

    answer = await proxy_server.ask(
        request_bytes("/@personal/me?a=hush", "PUT", f"Authorization: Bearer {TOKEN}", body=b"hush")
    )

    [line] = await lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "request_id": answer.value("X-Ovh-Proxy-Request-Id"),
        "client": "ci",
        "peer": "127.0.0.1",
        "profile": "personal",
        "method": "PUT",
        "path": "/@personal/me",
        "status": 200,
        "outcome": "relayed",
        "upstream_status": 200,
        "query_id": "EU.ext-1.abc",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="SO_PEERCRED")
async def test_on_a_unix_socket_the_user_id_is_recorded(
    start_audited, unix_listener, lines, request_bytes
):
    proxy_server = await start_audited(listen=(unix_listener,))

    await proxy_server.ask(request_bytes())

    [line] = await lines()
    assert line["uid"] == os.getuid()
    assert "peer" not in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b"GET /@unknown/me?x=hush HTTP/1.1\r\nHost: localhost\r\n\r\n",
            {"status": 404, "error": "UNKNOWN_PROFILE", "path": "/@unknown/me"},
            id="profile",
        ),
        pytest.param(
            b"GET /a/../me?hush HTTP/1.1\r\nHost: localhost\r\n\r\n",
            {"status": 400, "error": "BAD_TARGET", "path": "/a/../me"},
            id="target",
        ),
        pytest.param(
            b"GET /me HTTP/1.1\r\nHost: evil.example\r\nCookie: hush\r\n\r\n",
            {"status": 403, "error": "HOST_REFUSED", "profile": "-"},
            id="host",
        ),
        pytest.param(
            b"hush hush hush\r\n\r\n",
            {"status": 400, "error": "BAD_REQUEST", "method": "-", "path": "-"},
            id="no HTTP at all",
        ),
    ],
)
async def test_a_rejected_request_is_one_audit_line(
    start_audited, upstream, path, lines, text, expected
):
    proxy_server = await start_audited()

    await proxy_server.ask(text)

    [line] = await lines()
    assert line["outcome"] == "refused"
    assert line["peer"] == "127.0.0.1"
    assert expected.items() <= line.items()
    assert "hush" not in path.read_text()
    assert upstream.requests == []


async def test_a_rejected_token_is_one_audit_line_even_for_an_own_route(
    start_audited, path, lines, request_bytes
):
    proxy_server = await start_audited(clients=(CI,))

    await proxy_server.ask(request_bytes("/-/healthz", "GET", "Authorization: Bearer hush-other"))

    [line] = await lines()
    assert (line["error"], line["path"]) == ("CLIENT_TOKEN_REFUSED", "/-/healthz")
    assert "hush" not in path.read_text()


async def test_own_routes_are_not_audited(start_audited, lines, request_bytes):
    proxy_server = await start_audited(admin_listen=TcpAddress("127.0.0.1", 0))
    await proxy_server.ask(request_bytes("/-/healthz"))
    await proxy_server.ask(request_bytes("/healthz"), 1)
    await proxy_server.ask(request_bytes("/-/metrics"), 1)

    await proxy_server.ask(request_bytes("/me"))

    assert [line["path"] for line in await lines()] == ["/me"]


async def test_a_failed_call_is_one_audit_line(start_audited, upstream, lines, request_bytes):
    async def hanging_up(_, side):
        side.end()

    upstream.answering = hanging_up
    proxy_server = await start_audited()

    await proxy_server.ask(request_bytes("/me", "POST", body=b"{}"))

    [line] = await lines()
    assert (line["outcome"], line["status"], line["error"]) == ("failed", 502, "UPSTREAM_BROKEN")
    assert "upstream_status" not in line


async def test_a_client_that_disconnects_is_recorded_with_its_address(
    start_audited, upstream, lines, request_bytes
):
    never = asyncio.Event()
    upstream.answering = lambda *_: never.wait()
    proxy_server = await start_audited()
    client = await proxy_server.connect()
    client.send(request_bytes())
    await upstream.until(lambda: len(upstream.requests) == 1)

    client.abort()

    [line] = await lines()
    assert (line["outcome"], line["status"], line["peer"]) == ("client_left", 499, "127.0.0.1")
