"""The sandbox as a server: it listens, records, and survives its clients."""

import asyncio
import gzip
import ssl
from typing import Any

import pytest

from ovh_proxy.sandbox.api import MAX_RECORDED_REQUESTS, Sandbox
from ovh_proxy.sandbox.http_server import silent_logger


@pytest.mark.asyncio
async def test_it_tells_where_it_listens(sandbox: Sandbox) -> None:
    url = f"http://127.0.0.1:{sandbox.port}"

    assert sandbox.port > 0
    assert sandbox.url == url
    assert sandbox.base_url == f"{url}/1.0"
    assert sandbox.token_url == f"{url}/auth/oauth2/token"


@pytest.mark.asyncio
async def test_it_stops_and_comes_back_on_the_same_port(client: Any, sandbox: Sandbox) -> None:
    port = sandbox.port
    await sandbox.stop()
    await sandbox.stop()

    with pytest.raises(ConnectionRefusedError):
        await client.call("GET", "/1.0/me")
    await sandbox.start(port=port)
    reply = await client.call("GET", "/1.0/me")

    assert reply.status == 200


@pytest.mark.asyncio
async def test_an_ipv6_address_stands_in_brackets() -> None:
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
        reply = await client_of(sandbox, own).call("GET", "/1.0/me")

    assert sandbox.url.startswith("https://")
    assert reply.status == 200


def without_certificate(side: int) -> ssl.SSLContext:
    """TLS between two that ask each other for nothing: no key file is needed for a test."""
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
async def test_only_the_last_requests_are_remembered(client: Any, sandbox: Sandbox) -> None:
    first = b"GET /1.0/first HTTP/1.1\r\nHost: a\r\n\r\n"
    more = b"GET /1.0/more HTTP/1.1\r\nHost: a\r\n\r\n" * (MAX_RECORDED_REQUESTS - 1)
    last = b"GET /1.0/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    await client.raw(first + more + last)

    assert len(sandbox.requests) == MAX_RECORDED_REQUESTS
    assert sandbox.requests[0].target == b"/1.0/more"
    assert sandbox.requests[-1].target == b"/1.0/last"


@pytest.mark.asyncio
async def test_a_body_may_come_in_chunks(client: Any, sandbox: Sandbox, signed: Any) -> None:
    proof = signed(f"{sandbox.base_url}/sandbox/echo", "POST", b"hello")
    lines = "".join(f"{name}: {value}\r\n" for name, value in proof)
    head = f"POST /1.0/sandbox/echo HTTP/1.1\r\nHost: {client.host}\r\n{lines}"
    chunks = (
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )

    reply = await client.raw(head.encode() + chunks)

    assert reply.json["body"] == "hello"


@pytest.mark.asyncio
async def test_who_waits_for_100_continue_gets_it(client: Any) -> None:
    headers = [("Expect", "100-Continue")]

    reply = await client.call("POST", "/1.0/sandbox/echo", headers, b"hello")

    assert reply.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.asyncio
async def test_a_request_that_breaks_off_is_recorded_as_incomplete(
    client: Any, sandbox: Sandbox
) -> None:
    head = b"POST /1.0/me HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"

    await client.raw(head + b"half", half_close=True)

    assert [request.verdict for request in sandbox.requests] == ["incomplete"]
    assert sandbox.requests[0].body == b"half"


@pytest.mark.asyncio
async def test_a_client_that_goes_away_in_mid_answer_leaves_no_trace(
    sandbox: Sandbox, client: Any, signed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    proof = signed(f"{sandbox.base_url}/sandbox/bytes/100000000")
    lines = "".join(f"{name}: {value}\r\n" for name, value in proof)
    head = f"GET /1.0/sandbox/bytes/100000000 HTTP/1.1\r\nHost: {client.host}\r\n{lines}\r\n"

    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(head.encode())
    await reader.readexactly(100_000)
    writer.transport.abort()
    reply = await client.call("GET", "/1.0/me")

    assert reply.status == 200
    assert caplog.records == []


@pytest.mark.asyncio
async def test_a_request_in_flight_does_not_hold_up_the_end(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("delay=60")
    call = asyncio.create_task(client.call("GET", "/1.0/me"))
    while not sandbox.requests:  # noqa: ASYNC110 - the sandbox tells nobody when it records
        await asyncio.sleep(0)

    await asyncio.wait_for(sandbox.stop(), timeout=5)

    assert (await call).raw == b""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.asyncio
async def test_a_client_that_asks_for_the_end_is_told_so(client: Any, version: str) -> None:
    request = f"GET /1.0/auth/time HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"

    reply = await client.raw(request.encode())

    assert "Connection: close" in reply.lines


@pytest.mark.asyncio
async def test_old_clients_are_told_when_the_connection_stays(client: Any) -> None:
    first = b"GET /1.0/auth/time HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    last = b"GET /1.0/auth/time HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    reply = await client.raw(first + last)

    assert "Connection: keep-alive" in reply.lines
    assert reply.raw.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.asyncio
async def test_old_clients_get_no_chunks(client: Any, sandbox: Sandbox, signed: Any) -> None:
    path = "/sandbox/bytes/300?chunked=1"
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed(f"{sandbox.base_url}{path}"))
    keep = "Connection: keep-alive\r\n\r\n"

    reply = await client.raw(
        f"GET /1.0{path} HTTP/1.0\r\nHost: {client.host}\r\n{lines}{keep}".encode()
    )

    assert "Connection: close" in reply.lines
    assert len(reply.body) == 300


def test_aiohttp_has_nobody_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    silent_logger().error("a client went away")

    assert capsys.readouterr().err == ""
