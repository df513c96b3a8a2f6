"""CONNECT to hosts other than OVHcloud's: refused, or tunnelled unchanged."""

import asyncio
import hashlib
import os
from base64 import b64encode

import pytest
import pytest_asyncio
from support.intercepted import ESTABLISHED, ask_connect, connect_bytes
from support.remote_end import remote_end

from ovh_proxy.core.settings import Client, Limits, Timeouts

pytestmark = pytest.mark.asyncio

BOUND_S = 5.0
TOKEN = "MadeUpClientToken0123456789abcdef"
CI = Client("ci", hashlib.sha256(TOKEN.encode()).digest())
BASIC = "Proxy-Authorization: Basic " + b64encode(f"any:{TOKEN}".encode()).decode()
BEARER = f"Proxy-Authorization: Bearer {TOKEN}"
WRONG = "Proxy-Authorization: Bearer wrong"
FAR = "mirror.example:8443"
GET = (
    b"GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
)

POST = (
    b"POST /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
    + TOKEN.encode()
    + b"\r\nContent-Length: 400000\r\n\r\n"
    + bytes(400_000)
)


@pytest_asyncio.fixture
async def far():
    async with remote_end() as far:
        yield far


@pytest.fixture
def tunnelling(start, tmp_path, far, upstream):
    """Starts proxies that tunnel everything but OVHcloud to the remote end."""
    upstream.tells_time = False
    far.upstream_site = f"127.0.0.1:{upstream.port}"

    async def starting(**changes):
        settings = {"intercept": True, "intercept_others": "tunnel", "clients": (CI,), **changes}
        return await start(state_directory=str(tmp_path), upstream=far.upstream, **settings)

    return starting


async def open_tunnel(proxy_server, far, *lines, target=FAR):
    """Opens a tunnel and returns both ends."""
    conversation, response = await ask_connect(proxy_server, target, *(lines or (BASIC,)))
    assert response.status == 200, response
    return conversation, *await far.end()


@pytest.mark.parametrize("line", [BASIC, BEARER], ids=["Basic", "Bearer"])
async def test_bytes_pass_unchanged_in_both_directions(tunnelling, far, line):
    proxy_server = await tunnelling()
    near, reader, writer = await open_tunnel(proxy_server, far, line)

    near.send(b"\x16\x03\x01 \r\n\r\nGET / HTTP/1.1\r\n\r\n\0")
    up = await reader.readexactly(27)
    writer.write(b"HTTP/1.1 500 \r\n\r\n\xff")
    down = await near.exactly(b"HTTP/1.1 500 \r\n\r\n\xff")

    assert far.targets == [FAR]
    assert up == b"\x16\x03\x01 \r\n\r\nGET / HTTP/1.1\r\n\r\n\0"
    assert down == b"HTTP/1.1 500 \r\n\r\n\xff"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "CLIENT_TOKEN_REQUIRED"),
        ((WRONG,), "CLIENT_TOKEN_REFUSED"),
        ((f"Authorization: Bearer {TOKEN}",), "CLIENT_TOKEN_REQUIRED"),
    ],
    ids=["none", "a wrong one", "to the far end"],
)
async def test_a_tunnel_requires_a_proxy_token(tunnelling, far, lines, code):
    proxy_server = await tunnelling()

    _, response = await ask_connect(proxy_server, FAR, *lines)

    assert (response.status, response.code) == (407, code)
    assert response.value("Proxy-Authenticate") == 'Basic realm="ovh-proxy"'
    assert response.value("Connection") == "close"
    assert far.targets == []


@pytest.mark.parametrize("changes", [{"intercept_others": "refuse"}, {"clients": ()}], ids=repr)
async def test_without_tunnels_or_clients_other_hosts_are_refused(tunnelling, far, changes):
    proxy_server = await tunnelling(**changes)

    _, response = await ask_connect(proxy_server, FAR, BASIC)

    assert (response.status, response.code) == (403, "HOST_REFUSED")
    assert far.targets == []


@pytest.mark.parametrize(
    "target",
    [
        "localhost:22",
        "app.localhost:80",
        "localhost.:22",
        "127.0.0.1:22",
        "127.8.8.8:22",
        "0.0.0.0:22",
        "[::1]:22",
        "[::]:22",
        "[::ffff:127.0.0.1]:22",
        "[64:ff9b::7f00:1]:22",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "[fd00:ec2::254]:80",
    ],
)
async def test_tunnels_to_this_machine_or_to_metadata_are_refused(tunnelling, far, target):
    proxy_server = await tunnelling()

    _, response = await ask_connect(proxy_server, target, BASIC)

    assert (response.status, response.code) == (403, "HOST_REFUSED")
    assert far.targets == []


async def test_an_unreachable_remote_end_is_an_error(tunnelling, far):
    far.refuses = True
    proxy_server = await tunnelling()

    _, response = await ask_connect(proxy_server, FAR, BASIC)

    assert (response.status, response.code) == (502, "UPSTREAM_UNREACHABLE")


@pytest.mark.parametrize("side", ["near", "far"])
async def test_end_of_file_in_one_direction_leaves_the_other_open(tunnelling, far, side):
    proxy_server = await tunnelling()
    near, reader, writer = await open_tunnel(proxy_server, far)
    first, second = (near.writer, reader), (writer, near.reader)
    if side == "far":
        first, second = second, first

    first[0].write(b"question")
    first[0].write_eof()
    async with asyncio.timeout(BOUND_S):
        question = await first[1].read()
        second[0].write(b"answer")
        second[0].write_eof()
        response = await second[1].read()

    assert (question, response) == (b"question", b"answer")


@pytest.mark.parametrize("leaving", ["near", "far"])
async def test_if_one_end_disconnects_the_other_is_closed(tunnelling, far, leaving):
    proxy_server = await tunnelling()
    near, reader, writer = await open_tunnel(proxy_server, far)

    if leaving == "near":
        near.send(b"last words")
        await near.close()
        async with asyncio.timeout(BOUND_S):
            assert await reader.read() == b"last words"
        writer.close()
    else:
        writer.write(b"last words")
        writer.close()
        assert await near.rest() == b"last words"
        await near.close()
    assert (await proxy_server.until_logged())[0]["status"] == 200


async def test_a_side_that_does_not_read_slows_the_other_down(tunnelling, far):
    proxy_server = await tunnelling()
    near, reader, writer = await open_tunnel(proxy_server, far)
    piece, sent = bytes(65_536), 0

    async def send() -> None:
        nonlocal sent
        while True:
            near.writer.write(piece)
            await near.writer.drain()
            sent += len(piece)

    with pytest.raises(TimeoutError):
        # Nothing reads at the remote end; the system and both buffers hold a few MiB.
        async with asyncio.timeout(0.5):
            await send()
    received = 0
    async with asyncio.timeout(BOUND_S):
        while received < sent:
            received += len(await reader.read(1_048_576))

    assert sent < 32 * 1_048_576
    near.abort()
    writer.transport.abort()


async def test_an_idle_tunnel_is_closed(tunnelling, far):
    proxy_server = await tunnelling(timeouts=Timeouts(idle_s=0.2))
    near, reader, _ = await open_tunnel(proxy_server, far)

    async with asyncio.timeout(BOUND_S):
        assert await reader.read() == b""
    assert await near.rest() == b""


async def test_a_tunnel_counts_as_a_connection_until_it_ends(tunnelling, far):
    proxy_server = await tunnelling(limits=Limits(connections=1))
    near, _, writer = await open_tunnel(proxy_server, far)

    refused = await proxy_server.ask(GET)
    near.abort()
    writer.close()
    await proxy_server.until_logged(2)
    served = await proxy_server.ask(GET.replace(b"/me", b"/-/healthz"))

    assert (refused.code, served.status) == ("OVERLOADED", 200)


async def test_a_tunnel_has_one_log_line_without_content(tunnelling, far):
    proxy_server = await tunnelling()
    near, reader, writer = await open_tunnel(proxy_server, far)
    near.send(b"S3CRET")
    await reader.readexactly(6)
    writer.write(b"S3CRET too")
    await near.exactly(b"S3CRET too")
    near.abort()
    writer.close()

    (line,) = await proxy_server.until_logged()

    assert (line["method"], line["path"], line["client"]) == ("CONNECT", FAR, "ci")
    assert (line["status"], line["level"]) == (200, "info")
    assert (line["bytes_in"], line["bytes_out"]) == (6, len(ESTABLISHED) + 10)
    assert "S3CRET" not in proxy_server.log.getvalue()
    assert TOKEN not in proxy_server.log.getvalue()


async def test_a_shutdown_keeps_tunnels_until_the_drain_deadline(tunnelling, far):
    proxy_server = await tunnelling(timeouts=Timeouts(drain_s=0.3))
    near, reader, writer = await open_tunnel(proxy_server, far)

    proxy_server.stop()
    near.send(b"still")
    still = await reader.readexactly(5)
    is_clean = await proxy_server.end()

    assert (still, is_clean) == (b"still", False)
    assert await near.rest() == b""
    writer.transport.abort()


async def test_bytes_after_connect_before_the_response_are_rejected(tunnelling, far):
    proxy_server = await tunnelling()
    conversation = await proxy_server.connect()
    conversation.send(connect_bytes(FAR, BASIC) + b"\x16\x03\x01")

    response = await conversation.answer()

    assert (response.status, response.code) == (400, "BAD_REQUEST")
    assert far.targets == []


@pytest.mark.parametrize("before", [b"", POST], ids=["alone", "behind a large body"])
async def test_early_bytes_wait_for_the_remote_end(tunnelling, far, upstream, before):
    proxy_server = await tunnelling()
    far.may_answer.clear()
    conversation = await proxy_server.connect()

    conversation.send(before + connect_bytes(FAR, BASIC))
    if before:
        await conversation.answer()
    async with asyncio.timeout(BOUND_S):
        while not far.targets:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
    await conversation.send_slowly(b"hello", 2)
    far.may_answer.set()
    established = await conversation.exactly(ESTABLISHED)
    reader, _ = await far.end()

    async with asyncio.timeout(BOUND_S):
        assert await reader.readexactly(5) == b"hello"
    assert established == ESTABLISHED


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
async def test_tunnels_leave_nothing_open(tunnelling, far):
    proxy_server = await tunnelling()
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(4):
        near, _, writer = await open_tunnel(proxy_server, far)
        near.abort()
        writer.close()
    await proxy_server.until_logged(4)

    async with asyncio.timeout(BOUND_S):
        while len(os.listdir("/proc/self/fd")) > before + 1:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
