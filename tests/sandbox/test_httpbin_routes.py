"""Routes for tests response with whatever a test needs."""

import json
from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox

TOOLS = "/1.0/sandbox"


def description(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("count", [0, 1, 65536, 200_000])
@pytest.mark.parametrize("query", ["", "?chunked=1"])
@pytest.mark.asyncio
async def test_the_requested_number_of_bytes_is_sent(client: Any, count: int, query: str) -> None:
    response = await client.call("GET", f"{TOOLS}/bytes/{count}{query}")

    assert response.body == (bytes(range(256)) * (count // 256 + 1))[:count]
    assert ("Content-Length" in response.headers) is (not query)


@pytest.mark.asyncio
async def test_head_declares_the_number_of_bytes(client: Any) -> None:
    response = await client.call("HEAD", f"{TOOLS}/bytes/1000000000")

    assert (response.headers["Content-Length"], response.body) == ("1000000000", b"")


@pytest.mark.asyncio
async def test_a_slow_response_is_chunked(client: Any) -> None:
    response = await client.call("GET", f"{TOOLS}/slow?chunks=3&delay=0.01")

    assert b"\r\n3\r\n[1\n\r\n3\r\n,2\n\r\n4\r\n,3]\n\r\n0\r\n\r\n" in response.raw
    assert response.json == [1, 2, 3]


@pytest.mark.asyncio
async def test_echo_returns_the_request_as_received(client: Any) -> None:
    response = await client.call("PATCH", f"{TOOLS}/echo?a=%2f", [("x-ODD", "é")], b"\xff\x00")

    assert (response.json["method"], response.json["target"]) == ("PATCH", f"{TOOLS}/echo?a=%2f")
    assert ["x-ODD", "é"] in response.json["headers"]
    assert response.json["body"] == "\xff\x00"


@pytest.mark.parametrize(
    ("code", "phrase", "error_class"),
    [
        (200, "OK", None),
        (204, "No Content", None),
        (304, "Not Modified", None),
        (409, "Conflict", "Client::Conflict"),
        (422, "Unprocessable", "Client::ValidationError"),
        (418, "I'm a Teapot", "Client::BadRequest"),
        (460, "Expired", "Client::Expired"),
        (500, "Internal Server Error", "Server::InternalServerError"),
        (503, "Service Unavailable", "Server::ServiceUnavailable"),
        (599, "Unknown", "Server::ServiceUnavailable"),
    ],
)
@pytest.mark.asyncio
async def test_any_status_can_be_requested(
    client: Any, code: int, phrase: str, error_class: str | None
) -> None:
    response = await client.call("GET", f"{TOOLS}/status/{code}")

    assert response.lines[0].startswith(f"HTTP/1.1 {code} {phrase}")
    assert ("Content-Length" in response.headers) is (code not in (204, 304))
    assert (response.json["class"] if response.body[:1] == b"{" else None) == error_class


@pytest.mark.asyncio
async def test_a_load_balancers_page_is_not_json(client: Any) -> None:
    response = await client.call("GET", f"{TOOLS}/status/503?html=1")

    assert response.headers["Content-Type"].startswith("text/html")
    assert b"<h1>503 Service Unavailable</h1>" in response.body


@pytest.mark.asyncio
async def test_a_described_response_is_sent_verbatim(client: Any, sandbox: Sandbox) -> None:
    headers = [["X-A", "1"], ["x-a", "é"], ["Set-Cookie", "a=b"]]
    wanted = description(status=299, reason="So So", headers=headers, body="é\x00")

    response = await client.call("POST", f"{TOOLS}/answer", body=wanted)

    assert (
        response.raw
        == b"HTTP/1.1 299 So So\r\nX-A: 1\r\nx-a: \xe9\r\nSet-Cookie: a=b\r\n\r\n\xe9\x00"
    )


@pytest.mark.parametrize(
    ("headers", "status", "stays"),
    [
        ([], 200, False),
        ([], 204, True),
        ([["content-length", "2"]], 200, True),
        ([["Content-Length", "3"]], 200, False),
        ([["Transfer-Encoding", "chunked"]], 200, True),
        ([["Content-Length", "2"], ["Connection", "close"]], 200, False),
    ],
)
@pytest.mark.asyncio
async def test_a_connection_is_kept_after_a_self_delimiting_response(
    client: Any, sandbox: Sandbox, signed: Any, headers: list[list[str]], status: int, stays: bool
) -> None:
    wanted = description(status=status, headers=headers, body="" if status == 204 else "ok")
    signature = signed(f"{sandbox.url}{TOOLS}/answer", "POST", wanted)
    lines = [f"{name}: {value}\r\n" for name, value in signature]
    opening = f"POST {TOOLS}/answer HTTP/1.1\r\nHost: {client.host}\r\n{''.join(lines)}"
    first = f"{opening}Content-Length: {len(wanted)}\r\n\r\n".encode() + wanted
    second = b"GET /1.0/auth/time HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    response = await client.raw(first, second)

    assert (b"X-Ovh-Queryid" in response.raw) is stays


@pytest.mark.asyncio
async def test_early_hints_come_before_the_response(client: Any) -> None:
    response = await client.call("GET", f"{TOOLS}/early-hints")

    assert response.raw.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: ")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in response.raw


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/bytes/many", b""),
        ("GET", "/bytes/1?chunked=yes", b""),
        ("GET", "/slow?delay=nan", b""),
        ("GET", "/slow?delay=-1", b""),
        ("GET", "/slow?delay=soon", b""),
        ("GET", "/slow?chunks=%C2%B2", b""),
        ("GET", "/status/100", b""),
        ("POST", "/answer", description(status="fine")),
        ("POST", "/answer", description(headers=1)),
        ("POST", "/answer", description(headers=[["a"]])),
        ("POST", "/answer", description(body="€")),
    ],
)
@pytest.mark.asyncio
async def test_invalid_parameters_are_refused(
    client: Any, method: str, path: str, body: bytes
) -> None:
    response = await client.call(method, f"{TOOLS}{path}", body=body)

    assert (response.status, response.json["class"]) == (400, "Client::BadRequest")


@pytest.mark.asyncio
async def test_the_sandbox_routes_need_a_signature(client: Any) -> None:
    response = await client.send("GET", f"{TOOLS}/echo")

    assert response.status == 401
