import asyncio
import socket

import pytest

from ovh_proxy.cli.login_callback import return_page

pytestmark = pytest.mark.asyncio


async def _ask(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode())
    if not head.endswith("\n\n"):
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
async def test_the_browser_that_comes_back_may_close_its_tab(host: str) -> None:
    async with return_page(0) as page:
        answer = await _ask(page.port, f"GET /?x=1 HTTP/1.1\nHost: {host}:{page.port}\n\n")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"You can close this tab" in answer
    assert b"Content-Security-Policy: default-src 'none'" in answer
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
async def test_nothing_else_is_answered(head: str, status: bytes) -> None:
    async with return_page(0) as page:
        answer = await _ask(page.port, head.format(port=page.port))

    assert answer[9:12] == status
    assert not page.came_back.is_set()


async def test_a_port_that_is_taken_means_no_page() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with return_page(taken.getsockname()[1]) as page:
            url = page.url

    assert url is None
