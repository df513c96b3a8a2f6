"""CONNECT to an endpoint's host: TLS is terminated, and the same rules apply inside."""

import asyncio
import hashlib
import ssl
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
from support.proxy_server import Conversation

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.settings import AutoTls, Client, Listener, TcpAddress

pytestmark = pytest.mark.asyncio

TOKEN = "MadeUpClientToken0123456789abcdef"
CI = Client("ci", hashlib.sha256(TOKEN.encode()).digest())
BASIC = "Proxy-Authorization: Basic " + b64encode(f"any:{TOKEN}".encode()).decode()
LET_IN = (200, None)


@pytest_asyncio.fixture
async def proxy_server(intercepting):
    """A server in HTTP-proxy mode."""
    return await intercepting()


async def test_a_call_to_the_endpoint_is_signed(proxy_server, upstream, host, tmp_path):
    inside = await connect_inside(proxy_server, tmp_path, host)

    inside.send(get(host, "/1.0/me?x=%2F", "X-Ovh-Application: made-up"))
    response = await inside.answer()

    assert (response.status, response.body) == (200, b"GET /1.0/me?x=%2F")
    assert upstream.offences == []
    assert upstream.requests[0].value("X-Ovh-Application") == "MadeUpAppKey0000"


async def test_the_inner_connection_is_kept_alive(proxy_server, upstream, host, tmp_path):
    inside = await connect_inside(proxy_server, tmp_path, host)

    bodies = []
    for target in ("/1.0/me", "/1.0/me", "/v2/iam"):
        inside.send(get(host, target))
        bodies.append((await inside.answer()).body)

    assert bodies == [b"GET /1.0/me", b"GET /1.0/me", b"GET /v2/iam"]


async def test_tls_is_modern_and_negotiates_http_1_1(proxy_server, host, tmp_path):
    context = trusted(tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    conversation, _ = await ask_connect(proxy_server, host)

    await conversation.writer.start_tls(context, server_hostname="127.0.0.1")

    spoken = conversation.writer.get_extra_info("ssl_object")
    assert (spoken.selected_alpn_protocol(), spoken.version()) == ("http/1.1", "TLSv1.3")


@pytest.mark.parametrize("name", ["127.0.0.1", "www.example.com", "localhost"])
async def test_the_certificate_is_for_the_connect_host_whatever_the_tls_server_name(
    proxy_server, upstream, host, tmp_path, name
):
    inside = await connect_inside(proxy_server, tmp_path, host, name=name)

    inside.send(get(host))

    assert (await inside.answer()).status == 200
    certificate = inside.writer.get_extra_info("peercert")
    assert certificate["subjectAltName"] == (("IP Address", "127.0.0.1"),)


@pytest.mark.parametrize(
    "endpoint", ["eu.api.ovh.com", "api.us.ovhcloud.com", "ca.api.kimsufi.com"]
)
async def test_tls_is_terminated_for_every_ovhcloud_endpoint(
    proxy_server, upstream, tmp_path, endpoint
):
    inside = await connect_inside(proxy_server, tmp_path, f"{endpoint}:443")

    inside.send(get(endpoint))
    response = await inside.answer()

    # No profile has this endpoint, so nothing is forwarded.
    assert (response.status, response.code) == (404, "UNKNOWN_PROFILE")
    assert endpoint in response.json["message"]
    assert upstream.requests == []


async def test_the_access_rules_apply_inside(
    start, upstream, host, tmp_path, make_profile, make_store
):
    rules = tuple(parse_access_rule("GET /me"))
    store = make_store(make_profile(access_rules=rules), default="personal")
    proxy_server = await start(intercept=True, state_directory=str(tmp_path), store=store)
    inside = await connect_inside(proxy_server, tmp_path, host)

    inside.send(get(host, "/1.0/domain"))
    response = await inside.answer()

    assert (response.status, response.code) == (403, "ACCESS_DENIED")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("connect", "within", "expected"),
    [
        pytest.param((BASIC,), (), LET_IN, id="of the proxy"),
        pytest.param((), (f"Authorization: Bearer {TOKEN}",), LET_IN, id="of the request"),
        pytest.param((), (f"X-Ovh-Application: {TOKEN}",), LET_IN, id="as an application key"),
        pytest.param((BASIC,), ("X-Ovh-Application: made-up",), LET_IN, id="beside another's"),
        pytest.param((), (), (401, "CLIENT_TOKEN_REQUIRED"), id="none"),
        pytest.param(
            (), ("X-Ovh-Application: x",), (401, "CLIENT_TOKEN_REFUSED"), id="a wrong one"
        ),
        pytest.param((), (BASIC,), (401, "CLIENT_TOKEN_REQUIRED"), id="to a proxy, within"),
    ],
)
async def test_the_token_is_required_inside(
    intercepting, upstream, host, tmp_path, connect, within, expected
):
    proxy_server = await intercepting(clients=(CI,))
    inside = await connect_inside(proxy_server, tmp_path, host, *connect)

    inside.send(get(host, "/1.0/me", *within))
    response = await inside.answer()

    assert (response.status, response.code) == expected
    assert len(upstream.requests) == (expected is LET_IN)
    assert all(TOKEN.encode() not in request.head for request in upstream.requests)
    assert TOKEN not in proxy_server.log.getvalue()


async def test_inner_requests_are_logged_and_connect_only_at_debug_level(
    proxy_server, host, tmp_path
):
    inside = await connect_inside(proxy_server, tmp_path, host)
    inside.send(get(host))
    await inside.answer()

    connect, request = await proxy_server.until_logged(2)

    assert (connect["level"], connect["method"], connect["path"]) == ("debug", "CONNECT", host)
    assert (request["level"], request["path"], request["profile"]) == (
        "info",
        "/1.0/me",
        "personal",
    )


async def test_it_works_over_a_unix_socket(intercepting, upstream, unix_listener, host, tmp_path):
    proxy_server = await intercepting(listen=(Listener(TcpAddress("127.0.0.1", 0)), unix_listener))

    inside = await connect_inside(proxy_server, tmp_path, host, listener=1)
    inside.send(get(host))

    assert (await inside.answer()).status == 200


async def test_a_tls_listener_terminates_tls_inside_tls(intercepting, upstream, host, tmp_path):
    listener = Listener(TcpAddress("127.0.0.1", 0), tls=AutoTls(str(tmp_path)))
    proxy_server = await intercepting(listen=(listener,))
    context = trusted(tmp_path)
    ends = await asyncio.open_connection(
        "127.0.0.1", proxy_server.port, ssl=context, server_hostname="localhost"
    )
    conversation = Conversation(*ends)
    proxy_server.conversations.append(conversation)

    conversation.send(connect_bytes(host))
    await conversation.exactly(ESTABLISHED)
    await conversation.writer.start_tls(context, server_hostname="127.0.0.1")
    conversation.send(get(host))

    assert (await conversation.answer()).body == b"GET /1.0/me"


async def test_a_request_sent_with_the_end_of_the_handshake_is_served(
    proxy_server, upstream, host, tmp_path
):
    conversation, _ = await ask_connect(proxy_server, host)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusted(tmp_path).wrap_bio(received, sent, server_hostname="127.0.0.1")

    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            conversation.send(sent.read())
            received.write(await conversation.reader.read(65_536))
    client.write(get(host, "/1.0/me", "Connection: close"))
    conversation.send(sent.read())  # the client's Finished and its request in one segment
    received.write(await conversation.rest())

    assert client.read(65_536).startswith(b"HTTP/1.1 200 OK")
    assert len(upstream.requests) == 1
