"""Targets in absolute form, as clients send them to an HTTP proxy."""

import hashlib
from base64 import b64encode

import pytest

from ovh_proxy.core.settings import Client

pytestmark = pytest.mark.asyncio

TOKEN = "MadeUpClientToken0123456789abcdef"
CI = Client("ci", hashlib.sha256(TOKEN.encode()).digest())
BASIC = "Proxy-Authorization: Basic " + b64encode(f"any:{TOKEN}".encode()).decode()


def request_text(url, host, *lines, method="GET", body=b""):
    fields = [f"{method} {url} HTTP/1.1", f"Host: {host}", *lines]
    fields += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*fields, "", ""]).encode() + body


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
async def test_a_target_at_an_endpoint_is_served_as_on_its_host(
    intercepting, upstream, host, scheme
):
    proxy_server = await intercepting()

    answer = await proxy_server.ask(
        request_text(f"{scheme}://{host}/1.0/me?x=%2F", host, "Cookie: a=b")
    )

    assert (answer.status, answer.body) == (200, b"GET /1.0/me?x=%2F")
    assert upstream.offences == []


async def test_requests_of_all_forms_share_a_connection(intercepting, upstream, host):
    proxy_server = await intercepting()
    conversation = await proxy_server.connect()
    texts = [
        request_text(f"http://{host}/1.0/a", host),
        request_text("/b", "localhost"),
        request_text(f"http://{host}/v2/c", host, method="POST", body=b"{}"),
        request_text(f"http://{host}/1.0/a", host),
        request_text("/b", "localhost"),
    ]

    conversation.send(*texts)
    bodies = [(await conversation.answer()).body for _ in texts]

    assert bodies == [
        b"GET /1.0/a",
        b"GET /1.0/b",
        b"POST /v2/c",
        b"GET /1.0/a",
        b"GET /1.0/b",
    ]
    assert upstream.offences == []


async def test_the_same_target_in_origin_form_is_another_request(intercepting, upstream):
    proxy_server = await intercepting()
    conversation = await proxy_server.connect()

    conversation.send(request_text("http://eu.api.ovh.com/1.0/me", "eu.api.ovh.com"))
    first = await conversation.answer()
    conversation.send(request_text("/1.0/me", "eu.api.ovh.com"))
    second = await conversation.answer()

    assert (first.code, second.code) == ("UNKNOWN_PROFILE", "HOST_REFUSED")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("url", "host_field", "status", "code"),
    [
        ("http://www.example.com/", "www.example.com", 403, "HOST_REFUSED"),
        ("http://localhost:8080/me", "localhost:8080", 403, "HOST_REFUSED"),
        ("http://eu.api.ovh.com:8080/1.0/me", "eu.api.ovh.com:8080", 403, "HOST_REFUSED"),
        ("http://eu.api.ovh.com/1.0/me", "localhost", 403, "HOST_REFUSED"),
        ("http://eu.api.ovh.com/1.0/me", "eu.api.ovh.com", 404, "UNKNOWN_PROFILE"),
        ("http://eu.api.ovh.com/-/healthz", "eu.api.ovh.com", 404, "UNKNOWN_ROUTE"),
        ("ftp://eu.api.ovh.com/1.0/me", "eu.api.ovh.com", 400, "BAD_TARGET"),
        ("http://me@eu.api.ovh.com/1.0/me", "eu.api.ovh.com", 400, "BAD_TARGET"),
        ("http://eu.api.ovh.com/1.0/../me", "eu.api.ovh.com", 400, "BAD_TARGET"),
        ("http://eu.api.ovh.com/1.0/me#x", "eu.api.ovh.com", 400, "BAD_TARGET"),
        ("eu.api.ovh.com:443", "eu.api.ovh.com", 400, "BAD_TARGET"),
        ("http:///1.0/me", "localhost", 400, "BAD_TARGET"),
        ("*", "localhost", 400, "BAD_TARGET"),
    ],
)
async def test_targets_at_other_hosts_are_rejected(
    intercepting, upstream, url, host_field, status, code
):
    proxy_server = await intercepting()

    answer = await proxy_server.ask(request_text(url, host_field))

    assert (answer.status, answer.code) == (status, code)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ((BASIC,), 200, None),
        ((f"Authorization: Bearer {TOKEN}",), 200, None),
        ((BASIC, "X-Ovh-Application: made-up"), 200, None),
        ((), 401, "CLIENT_TOKEN_REQUIRED"),
        (("Proxy-Authorization: Bearer wrong",), 401, "CLIENT_TOKEN_REFUSED"),
        ((BASIC, "Origin: https://evil.example"), 403, "ORIGIN_REFUSED"),
    ],
)
async def test_absolute_form_needs_client_authentication_too(
    intercepting, upstream, host, lines, status, code
):
    proxy_server = await intercepting(clients=(CI,))

    answer = await proxy_server.ask(request_text(f"http://{host}/1.0/me", host, *lines))

    assert (answer.status, answer.code) == (status, code)
    assert len(upstream.requests) == (status == 200)
    assert all(b"roxy" not in request.head for request in upstream.requests)


async def test_a_location_points_to_the_requested_host(intercepting, upstream, host):
    upstream.answers(
        b"HTTP/1.1 302 Found\r\nLocation: http://%b/1.0/other\r\nContent-Length: 0\r\n\r\n"
        % host.encode(),
    )
    proxy_server = await intercepting()

    answer = await proxy_server.ask(request_text(f"http://{host}/1.0/me", host))

    assert answer.value("Location") == f"http://{host}/1.0/other"


async def test_without_interception_the_absolute_form_is_a_bad_target(start, upstream, host):
    proxy_server = await start()

    answer = await proxy_server.ask(request_text(f"http://{host}/1.0/me", host))

    assert (answer.status, answer.code) == (400, "BAD_TARGET")
    assert upstream.requests == []
