"""CONNECT requests: accepted and rejected ones."""

import hashlib
from base64 import b64encode

import pytest
import pytest_asyncio
from support.intercepted import (
    ESTABLISHED,
    ask_connect,
    connect_bytes,
    connect_inside,
    get,
    trusted,
)

from ovh_proxy.core.settings import Client, TcpAddress

pytestmark = pytest.mark.asyncio

CI = Client("ci", hashlib.sha256(b"t0ken").digest())
WRONG = "Proxy-Authorization: Basic " + b64encode(b"any:wrong").decode()


@pytest_asyncio.fixture
async def proxy_server(intercepting):
    """A server in HTTP-proxy mode."""
    return await intercepting()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_connect_works_in_both_versions_and_without_a_host_in_http_1_0(
    proxy_server, host, version
):
    conversation = await proxy_server.connect()
    text = connect_bytes(host, version=version)
    conversation.send(text if version == "1.1" else text.replace(b"Host", b"X-Was-Host"))

    assert await conversation.exactly(ESTABLISHED) == ESTABLISHED


async def test_connect_inside_a_connection_is_rejected_like_the_absolute_form(
    proxy_server, upstream, host, tmp_path
):
    inside = await connect_inside(proxy_server, tmp_path, host)
    other = await connect_inside(proxy_server, tmp_path, host)

    inside.send(connect_bytes(host))
    other.send(get(host, f"http://{host}/1.0/me"))

    assert (await inside.answer()).code == "METHOD_REFUSED"
    assert (await other.answer()).code == "BAD_TARGET"
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("www.example.com:443", 403, "HOST_REFUSED"),
        ("www.ovh.com:443", 403, "HOST_REFUSED"),
        ("eu.api.ovh.com:80", 403, "HOST_REFUSED"),
        ("localhost:22", 403, "HOST_REFUSED"),
        ("eu.api.ovh.com", 400, "BAD_TARGET"),
        ("https://eu.api.ovh.com:443", 400, "BAD_TARGET"),
        ("me@eu.api.ovh.com:443", 400, "BAD_TARGET"),
        ("eu.api.ovh.com:443/1.0/me", 400, "BAD_TARGET"),
        ("/me", 405, "METHOD_REFUSED"),
        ("*", 405, "METHOD_REFUSED"),
    ],
)
async def test_connect_to_other_hosts_is_rejected_and_closes_the_connection(
    proxy_server, upstream, target, status, code
):
    conversation = await proxy_server.connect()
    conversation.send(connect_bytes(target))

    response = await conversation.answer()

    assert (response.status, response.code) == (status, code)
    assert response.value("Connection") == "close"
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("Content-Length: 5",), b""),
        (("Content-Length: 5",), b"hello"),
        (("Transfer-Encoding: chunked",), b""),
        (("Host: www.example.com",), b""),
        ((), b"\x16\x03\x01"),
        ((), b"GET /1.0/me HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ],
    ids=["a length", "a body", "chunks", "two hosts", "an early hello", "an early request"],
)
async def test_connect_with_a_body_or_early_bytes_is_a_bad_request(
    proxy_server, upstream, host, lines, body
):
    conversation = await proxy_server.connect()
    conversation.send(connect_bytes(host, *lines) + body)

    response = await conversation.answer()

    assert (response.status, response.code) == (400, "BAD_REQUEST")
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


async def test_a_request_before_connect_gets_its_response_first(
    proxy_server, upstream, host, tmp_path
):
    conversation = await proxy_server.connect()
    conversation.send(get("localhost", "/me") + connect_bytes(host))

    first = await conversation.answer()
    established = await conversation.exactly(ESTABLISHED)
    await conversation.writer.start_tls(trusted(tmp_path), server_hostname="127.0.0.1")
    conversation.send(get(host, "/1.0/within"))
    second = await conversation.answer()

    assert (first.body, established) == (b"GET /1.0/me", ESTABLISHED)
    assert second.body == b"GET /1.0/within"


async def test_a_wrong_proxy_token_is_rejected_at_once(intercepting, upstream, host):
    proxy_server = await intercepting(clients=(CI,))

    _, response = await ask_connect(proxy_server, host, WRONG)

    assert (response.status, response.code) == (407, "CLIENT_TOKEN_REFUSED")
    assert response.value("Proxy-Authenticate") == 'Basic realm="ovh-proxy"'


async def test_without_interception_connect_is_rejected(start, upstream):
    proxy_server = await start()

    response = await proxy_server.ask(connect_bytes("eu.api.ovh.com:443"))

    assert (response.status, response.code) == (405, "METHOD_REFUSED")
    assert response.value("Allow") is not None


async def test_the_admin_listener_rejects_connect(intercepting, host):
    proxy_server = await intercepting(admin_listen=TcpAddress("127.0.0.1", 0))

    response = await proxy_server.ask(connect_bytes(host), 1)

    assert (response.status, response.code) == (405, "METHOD_REFUSED")
