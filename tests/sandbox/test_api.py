"""The sandbox as a server: it listens, records requests and survives disconnects."""

import asyncio
import gzip
import ssl
from typing import Any

import pytest

from ovh_proxy.sandbox.api import MAX_RECORDED_REQUESTS, Sandbox
from ovh_proxy.sandbox.http_server import silent_logger


@pytest.mark.asyncio
async def test_the_sandbox_reports_its_url(sandbox: Sandbox) -> None:
    url = f"http://127.0.0.1:{sandbox.port}"

    assert sandbox.port > 0
    assert sandbox.url == url
    assert sandbox.base_url == f"{url}/1.0"
    assert sandbox.token_url == f"{url}/auth/oauth2/token"


@pytest.mark.asyncio
async def test_the_sandbox_can_restart_on_the_same_port(client: Any, sandbox: Sandbox) -> None:
    port = sandbox.port
    await sandbox.stop()
    await sandbox.stop()

    with pytest.raises(ConnectionRefusedError):
        await client.call("GET", "/1.0/me")
    await sandbox.start(port=port)
    response = await client.call("GET", "/1.0/me")

    assert response.status == 200


@pytest.mark.asyncio
async def test_an_ipv6_address_is_in_brackets() -> None:
    sandbox = Sandbox()
    try:
        await sandbox.start("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert sandbox.url == f"http://[::1]:{sandbox.port}"
    await sandbox.stop()


@pytest.mark.asyncio
async def test_over_tls_the_signature_covers_https(client_of: Any) -> None:
    server, own = (
        without_certificate(side) for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    )

    async with Sandbox(tls=server) as sandbox:
        response = await client_of(sandbox, own).call("GET", "/1.0/me")

    assert sandbox.url.startswith("https://")
    assert response.status == 200


def without_certificate(side: int) -> ssl.SSLContext:
    """Anonymous TLS, which needs no key file."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
    except ssl.SSLError:
        pytest.skip("this OpenSSL has no anonymous ciphers")
    return context


@pytest.mark.asyncio
async def test_a_request_is_recorded_byte_for_byte(client: Any, sandbox: Sandbox) -> None:
    packed = gzip.compress(b"hello")
    headers = [("x-ODD", "1"), ("X-odd", " two"), ("Content-Encoding", "gzip")]

    await client.send("PURGE", "/1.0/a%2fb?%zz=+", headers, packed)

    received = sandbox.requests[-1]
    assert (received.method, received.version) == ("PURGE", "1.1")
    assert received.target == b"/1.0/a%2fb?%zz=+"
    assert received.headers[2:5] == (
        (b"x-ODD", b"1"),
        (b"X-odd", b"two"),
        (b"Content-Encoding", b"gzip"),
    )
    assert received.body == packed
    assert received.header("X-ODD") == "1"
    assert received.values("x-odd") == ["1", "two"]
    assert received.header("absent") is None


@pytest.mark.asyncio
async def test_only_the_last_requests_are_recorded(client: Any, sandbox: Sandbox) -> None:
    first = b"GET /1.0/first HTTP/1.1\r\nHost: a\r\n\r\n"
    more = b"GET /1.0/more HTTP/1.1\r\nHost: a\r\n\r\n" * (MAX_RECORDED_REQUESTS - 1)
    last = b"GET /1.0/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    await client.raw(first + more + last)

    assert len(sandbox.requests) == MAX_RECORDED_REQUESTS
    assert sandbox.requests[0].target == b"/1.0/more"
    assert sandbox.requests[-1].target == b"/1.0/last"


@pytest.mark.asyncio
async def test_a_chunked_body_is_received(client: Any, sandbox: Sandbox, signed: Any) -> None:
    signature = signed(f"{sandbox.base_url}/sandbox/echo", "POST", b"hello")
    lines = "".join(f"{name}: {value}\r\n" for name, value in signature)
    head = f"POST /1.0/sandbox/echo HTTP/1.1\r\nHost: {client.host}\r\n{lines}"
    chunks = (
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )

    response = await client.raw(head.encode() + chunks)

    assert response.json["body"] == "hello"


@pytest.mark.asyncio
async def test_expect_100_continue_is_answered(client: Any) -> None:
    headers = [("Expect", "100-Continue")]

    response = await client.call("POST", "/1.0/sandbox/echo", headers, b"hello")

    assert response.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.asyncio
async def test_a_request_that_breaks_off_is_recorded_as_incomplete(
    client: Any, sandbox: Sandbox
) -> None:
    head = b"POST /1.0/me HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"

    await client.raw(head + b"half", half_close=True)

    assert [request.verdict for request in sandbox.requests] == ["incomplete"]
    assert sandbox.requests[0].body == b"half"


@pytest.mark.asyncio
async def test_a_client_that_disconnects_during_a_response_logs_nothing(
    sandbox: Sandbox, client: Any, signed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    signature = signed(f"{sandbox.base_url}/sandbox/bytes/100000000")
    lines = "".join(f"{name}: {value}\r\n" for name, value in signature)
    head = f"GET /1.0/sandbox/bytes/100000000 HTTP/1.1\r\nHost: {client.host}\r\n{lines}\r\n"

    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(head.encode())
    await reader.readexactly(100_000)
    writer.transport.abort()
    response = await client.call("GET", "/1.0/me")

    assert response.status == 200
    assert caplog.records == []


@pytest.mark.asyncio
async def test_a_request_in_flight_does_not_delay_stop(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("delay=60")
    call = asyncio.create_task(client.call("GET", "/1.0/me"))
    while not sandbox.requests:  # noqa: ASYNC110 - the sandbox tells nobody when it records
        await asyncio.sleep(0)

    await asyncio.wait_for(sandbox.stop(), timeout=5)

    assert (await call).raw == b""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.asyncio
async def test_connection_close_is_answered_with_close(client: Any, version: str) -> None:
    request = f"GET /1.0/auth/time HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"

    response = await client.raw(request.encode())

    assert "Connection: close" in response.lines


@pytest.mark.asyncio
async def test_http_1_0_clients_get_keep_alive(client: Any) -> None:
    first = b"GET /1.0/auth/time HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    last = b"GET /1.0/auth/time HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    response = await client.raw(first + last)

    assert "Connection: keep-alive" in response.lines
    assert response.raw.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.asyncio
async def test_http_1_0_clients_get_no_chunks(client: Any, sandbox: Sandbox, signed: Any) -> None:
    path = "/sandbox/bytes/300?chunked=1"
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed(f"{sandbox.base_url}{path}"))
    keep = "Connection: keep-alive\r\n\r\n"

    response = await client.raw(
        f"GET /1.0{path} HTTP/1.0\r\nHost: {client.host}\r\n{lines}{keep}".encode()
    )

    assert "Connection: close" in response.lines
    assert len(response.body) == 300


def test_aiohttp_logs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent_logger().error("a client went away")

    assert capsys.readouterr().err == ""
