import asyncio
import socket

import pytest

from ovh_proxy.cli.login_callback import return_page

pytestmark = pytest.mark.asyncio


async def _exchange(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode())
    if not head.endswith("\n\n"):
        writer.write_eof()
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return response


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
async def test_the_page_says_that_the_tab_can_be_closed(host: str) -> None:
    async with return_page(0) as page:
        response = await _exchange(page.port, f"GET /?x=1 HTTP/1.1\nHost: {host}:{page.port}\n\n")

    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"You can close this tab" in response
    assert b"Content-Security-Policy: default-src 'none'" in response
    assert page.came_back.is_set()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1\nHost: evil.example:{port}\n\n", b"403"),
        ("GET / HTTP/1.1\n\n", b"403"),
        ("GET / HTTP/1.1\nHost: localhost:{port}\nHost: localhost:{port}\n\n", b"403"),
        ("POST / HTTP/1.1\nHost: localhost:{port}\n\n", b"405"),
        ("GET /favicon.ico HTTP/1.1\nHost: localhost:{port}\n\n", b"404"),
        ("nonsense\n\n", b"400"),
        ("GET / HTTP/1.1\nHo", b""),
    ],
    ids=["other host", "no host", "two hosts", "method", "path", "garbage", "half"],
)
async def test_other_requests_are_rejected(head: str, status: bytes) -> None:
    async with return_page(0) as page:
        response = await _exchange(page.port, head.format(port=page.port))

    assert response[9:12] == status
    assert not page.came_back.is_set()


async def test_without_a_free_port_there_is_no_page() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with return_page(taken.getsockname()[1]) as page:
            url = page.url

    assert url is None
