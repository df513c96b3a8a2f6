"""What openssl's client can do after CONNECT and Python's cannot."""

import asyncio
import shutil

import pytest
import pytest_asyncio
from support.intercepted import get

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command"),
]

BOUND_S = 10.0


@pytest_asyncio.fixture
async def speak(start, tmp_path, host):
    """Starts openssl's client through the proxy."""
    clients = []

    async def starting(*options: str) -> asyncio.subprocess.Process:
        proxy_server = await start(intercept=True, state_directory=str(tmp_path))
        client = await asyncio.create_subprocess_exec(
            "openssl",
            "s_client",
            *("-proxy", f"127.0.0.1:{proxy_server.port}"),
            *("-connect", host),
            *("-CAfile", str(tmp_path / "ca" / "ca.pem")),
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        clients.append(client)
        return client

    yield starting
    for client in clients:
        if client.returncode is None:
            client.kill()
        await client.wait()


async def output_of(client: asyncio.subprocess.Process, text: bytes) -> bytes:
    """Sends text, and returns all output until it ends."""
    async with asyncio.timeout(BOUND_S):
        return (await client.communicate(text))[0]


async def test_openssl_accepts_the_handshake(speak, host, upstream):
    client = await speak("-quiet", "-verify_return_error")

    response = await output_of(client, get(host, "/1.0/me", "Connection: close"))

    assert b"HTTP/1.1 200 OK" in response
    assert len(upstream.requests) == 1


async def test_a_handshake_without_server_name_works(speak, host):
    client = await speak("-quiet", "-noservername", "-verify_return_error")

    response = await output_of(client, get(host, "/1.0/me", "Connection: close"))

    assert b"HTTP/1.1 200 OK" in response


async def test_a_renegotiation_is_rejected(speak, upstream):
    client = await speak("-tls1_2")

    response = await output_of(client, b"R\n")

    assert b"RENEGOTIATING" in response
    assert b"no renegotiation" in response or b"handshake failure" in response
    assert upstream.requests == []


async def test_repeated_key_updates_change_nothing(speak, host, upstream):
    client = await speak("-tls1_3")

    for _ in range(20):
        client.stdin.write(b"K\n")
        async with asyncio.timeout(BOUND_S):
            await client.stdout.readuntil(b"KEYUPDATE")
    client.stdin.write(get(host))
    async with asyncio.timeout(BOUND_S):
        await client.stdout.readuntil(b"HTTP/1.1 200 OK")

    assert len(upstream.requests) == 1


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
async def test_old_tls_versions_are_rejected(speak, host, upstream, version):
    client = await speak(version, "-cipher", "ALL:@SECLEVEL=0")

    response = await output_of(client, get(host))

    assert b"HTTP/1.1 200" not in response
    assert upstream.requests == []
