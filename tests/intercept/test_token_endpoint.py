"""OAuth2 token hosts, intercepted with an authority in memory: clients get a made-up token."""

import asyncio
import hashlib
import time
from base64 import b64encode
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from support.handshake import trusting
from support.intercepted import ask_connect
from support.proxy_server import LogText, ProxyServer, profile_of
from support.serving import store_of

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS, NameConstraints
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import ShutdownRequest, serve
from ovh_proxy.tls.authority import make_authority

pytestmark = pytest.mark.asyncio

HOST = "www.ovh.com"
TOKEN = "MadeUpClientToken0123456789abcdef"
CI = Client("ci", hashlib.sha256(TOKEN.encode()).digest())
PROXY = "Proxy-Authorization: Basic " + b64encode(f"any:{TOKEN}".encode()).decode()
FORM = urlencode({"grant_type": "client_credentials", "client_id": "x", "scope": "all"})
WITH_SECRET = f"{FORM}&client_secret={TOKEN}"


@pytest.fixture(scope="module")
def authority():
    """An authority in memory, as `exec` uses it."""
    return make_authority(
        NameConstraints((*DEFAULT_CONSTRAINTS.names, HOST), DEFAULT_CONSTRAINTS.networks),
        time.time(),
    )


@asynccontextmanager
async def served(settings, authority):
    """A server with its own authority, as `exec` runs it."""
    log, stop, announced = LogText(), ShutdownRequest(), asyncio.Queue()
    serving = asyncio.ensure_future(
        serve(settings, Log("debug", "json", log), announced.put_nowait, stop, authority=authority)
    )
    proxy_server = ProxyServer([await announced.get()], log, stop, serving)
    try:
        yield proxy_server
    finally:
        for conversation in proxy_server.conversations:
            conversation.abort()
        stop()
        stop()
        await serving
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def proxy_server(upstream, authority, kept_loggers):
    """A server with one client."""
    settings = Settings(
        store=store_of(profile_of(upstream.port)),
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
        clients=(CI,),
        intercept=True,
    )
    async with served(settings, authority) as proxy_server:
        yield proxy_server


async def inside(proxy_server, authority, host=HOST, *lines):
    conversation, response = await ask_connect(proxy_server, f"{host}:443", *lines)
    assert response.status == 200
    await conversation.writer.start_tls(trusting(authority.root_pem), server_hostname=host)
    return conversation


def post(body, *lines, target="/auth/oauth2/token", method="POST"):
    fields = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *lines]
    fields += [f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(fields).encode()


@pytest.mark.parametrize(
    ("connect", "request_text"),
    [
        pytest.param((PROXY,), post(FORM), id="the token of the proxy"),
        pytest.param((), post(WITH_SECRET), id="as the client's secret"),
        pytest.param(
            (),
            post(FORM, "Authorization: Basic " + b64encode(f"x:{TOKEN}".encode()).decode()),
            id="as the secret of Basic",
        ),
        pytest.param((PROXY,), post(FORM + "&client_secret=made-up"), id="beside another secret"),
        pytest.param((PROXY,), post(""), id="without a form"),
        pytest.param((PROXY,), post("\xff%"), id="with a form that is none"),
    ],
)
async def test_an_authenticated_client_gets_a_token_that_authenticates_it(
    proxy_server, authority, upstream, connect, request_text
):
    tokens = await inside(proxy_server, authority, HOST, *connect)
    calls = await inside(proxy_server, authority, "eu.api.ovh.com")

    tokens.send(request_text)
    response = await tokens.answer()
    token = response.json["access_token"]
    calls.send(
        b"GET /1.0/me HTTP/1.1\r\nHost: eu.api.ovh.com\r\n"
        + f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    call = await calls.answer()

    assert (response.status, response.value("Cache-Control")) == (200, "no-store")
    assert response.json == {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 3599,
        "scope": "all",
    }
    assert call.code == "UNKNOWN_PROFILE"  # authenticated; no profile has this endpoint
    assert upstream.requests == []
    assert TOKEN not in proxy_server.log.getvalue()


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        pytest.param(post(FORM), 401, "CLIENT_TOKEN_REQUIRED", id="no token"),
        pytest.param(
            post(FORM + "&client_secret=wrong"), 401, "CLIENT_TOKEN_REFUSED", id="a wrong one"
        ),
        pytest.param(
            post(WITH_SECRET, "Origin: https://evil.example"), 403, "ORIGIN_REFUSED", id="a page"
        ),
        pytest.param(
            post(WITH_SECRET, target="/auth/oauth2/authorize"), 404, "UNKNOWN_ROUTE", id="elsewhere"
        ),
        pytest.param(post(WITH_SECRET, target="/"), 404, "UNKNOWN_ROUTE", id="the site"),
        pytest.param(post(WITH_SECRET, target="/-/healthz"), 404, "UNKNOWN_ROUTE", id="our own"),
        pytest.param(post(WITH_SECRET, method="PUT"), 405, "METHOD_REFUSED", id="another method"),
        pytest.param(
            post(WITH_SECRET).replace(HOST.encode(), b"ca.ovh.com"),
            403,
            "HOST_REFUSED",
            id="another host",
        ),
        pytest.param(post("x" * 20_000), 413, "BODY_TOO_LARGE", id="a large form"),
        pytest.param(post(WITH_SECRET, target="//auth"), 400, "BAD_TARGET", id="two readings"),
    ],
)
async def test_everything_else_is_rejected(
    proxy_server, authority, upstream, request_text, status, code
):
    tokens = await inside(proxy_server, authority)

    tokens.send(request_text)
    response = await tokens.answer()

    assert (response.status, response.code) == (status, code)
    assert TOKEN.encode() not in response.body
    assert upstream.requests == []


async def test_a_client_that_expects_100_continue_gets_it(proxy_server, authority):
    tokens = await inside(proxy_server, authority)
    head, _, body = post(WITH_SECRET, "Expect: 100-continue").partition(b"\r\n\r\n")

    tokens.send(head + b"\r\n\r\n")
    received = await tokens.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
    tokens.send(body)

    assert received == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await tokens.answer()).status == 200


async def test_the_stored_authority_does_not_intercept_token_hosts(start, tmp_path):
    proxy_server = await start(intercept=True, state_directory=str(tmp_path))

    _, response = await ask_connect(proxy_server, f"{HOST}:443")

    assert (response.status, response.code) == (403, "HOST_REFUSED")


async def test_without_clients_the_token_is_random(upstream, authority, kept_loggers):
    settings = Settings(
        store=store_of(profile_of(upstream.port)),
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
        intercept=True,
    )
    async with served(settings, authority) as proxy_server:
        tokens = await inside(proxy_server, authority)
        tokens.send(post(FORM))

        response = await tokens.answer()

    assert len(response.json["access_token"]) > 20
