"""The CONNECT request and the parsing of its response."""

import base64

import pytest

from ovh_proxy.core.errors import UpstreamBroken, UpstreamUnreachable
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import HttpProxy, TcpAddress
from ovh_proxy.upstream.connect_proxy import connect_request, is_connected

TARGET = TcpAddress("eu.api.ovh.com", 443)
PROXY = HttpProxy(TcpAddress("p", 3128), Secret("user:S3CRET"))
MADE = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (TARGET, b"eu.api.ovh.com:443"),
        (TcpAddress("::1", 8080), b"[::1]:8080"),
    ],
    ids=["a name", "IPv6"],
)
def test_connect_names_the_host_and_port(target, expected):
    asked = connect_request(target, HttpProxy(TcpAddress("p", 3128)))

    assert asked == b"CONNECT " + expected + b" HTTP/1.1\r\nHost: " + expected + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("user:S3CRET", b"user:S3CRET"),
        ("user:", b"user:"),
        ("é:ü", "é:ü".encode()),
        ("a:\udcff", b"a:\xff"),
    ],
    ids=["both", "no password", "UTF-8", "bytes that are no UTF-8"],
)
def test_connect_carries_the_proxy_login(login, expected):
    asked = connect_request(TARGET, HttpProxy(TcpAddress("p", 3128), Secret(login)))

    line = b"Proxy-Authorization: Basic " + base64.b64encode(expected)
    assert asked.endswith(b"\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "response",
    [
        MADE,
        b"HTTP/1.0 200 OK\r\nVia: 1.1 p\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 204 No Content\nVia: p\n\n",
        b"HTTP/1.1 103 Early\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + MADE,
        b"HTTP/1.1 200 " + b"a" * 16_000 + b"\r\n\r\n",
    ],
    ids=["plain", "HTTP/1.0", "no reason", "lines without CR", "interim answers", "long"],
)
def test_the_connection_is_made_once_the_response_is_complete(response):
    # For long responses: every prefix near both ends, and every hundredth between.
    sizes = [
        size
        for size in range(len(response) + 1)
        if size < 200 or size > len(response) - 200 or size % 100 == 0
    ]

    made = [is_connected(response[:size], TARGET, PROXY) for size in sizes]

    assert made == [size == len(response) for size in sizes]


@pytest.mark.parametrize("status", [300, 403, 407, 500, 502, 504])
def test_a_refusal_of_the_proxy_is_reported_with_its_status(status):
    response = b"HTTP/1.1 %d No\r\nContent-Length: 9\r\n\r\nwhy not" % status

    with pytest.raises(UpstreamUnreachable) as failed:
        is_connected(response, TARGET, PROXY)

    said = f"the proxy p:3128 refused CONNECT eu.api.ovh.com:443 with status {status}"
    assert str(failed.value).startswith(said)
    assert ("user and password" in str(failed.value)) == (status == 407)
    assert failed.value.nothing_arrived
    assert "S3CRET" not in str(failed.value)


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not HTTP/1.1"),
        (b"\x15\x03\x01", "is not HTTP/1.1"),
        (b"HTTP/2", "is not HTTP/1.1"),
        (b"HTTP/1.2 200 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 abc\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 100 Continue\r\n\r\nSSH", "is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 20_000, "exceeds 16384 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "exceeds 16384 bytes"),
        (MADE + b"\x16", "followed by unexpected bytes"),
    ],
    ids=[
        "another protocol",
        "a TLS alert",
        "HTTP/2",
        "HTTP/1.2",
        "a long status",
        "no status",
        "no such status",
        "another protocol behind an interim response",
        "an endless head",
        "endless interim answers",
        "more behind it",
    ],
)
def test_a_malformed_response_to_connect_is_rejected(response, fault):
    with pytest.raises(UpstreamBroken, match=fault) as failed:
        is_connected(response, TARGET, PROXY)

    assert "the proxy p:3128" in str(failed.value)
    assert failed.value.nothing_arrived
