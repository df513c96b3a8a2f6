"""An upstream on a raw socket, connection pools for it, and errors reported by asyncio."""

import asyncio
import gc
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.forwarder import forward
from support.raw_server import RawServer

from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import HttpProxy, TcpAddress, Timeouts, Upstream
from ovh_proxy.upstream.pool import Pool

MakePool = Callable[..., Pool]


@pytest_asyncio.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """Records errors of the event loop's exception handler; a test must end without any."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    gc.freeze()  # otherwise each test would collect the objects of all others
    yield told
    gc.collect()  # futures report errors when they are collected
    gc.unfreeze()
    assert told == []


@pytest_asyncio.fixture
async def server(complaints: list[dict[str, Any]]) -> AsyncIterator[RawServer]:
    """An upstream that answers `200 ok`, unless its `scripts` say otherwise."""
    async with RawServer() as server:
        yield server
    server.scripts.clear()  # pytest keeps the server for a while; release what its scripts hold


@pytest_asyncio.fixture
async def make_pool(complaints: list[dict[str, Any]]) -> AsyncIterator[MakePool]:
    """Makes pools: `make_pool(connections=1, idle_s=0.1)`, any field of upstream or timeouts."""
    pools: list[Pool] = []

    def make(**fields: Any) -> Pool:
        bounds = {name: value for name, value in fields.items() if name in Timeouts.__slots__}
        others = {name: value for name, value in fields.items() if name not in bounds}
        pools.append(Pool(Upstream(**others), Timeouts(**bounds)))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


@pytest_asyncio.fixture
async def pool(make_pool: MakePool) -> Pool:
    """A pool with the default settings."""
    return make_pool()


@pytest.fixture(scope="module")
def make_certificate(tmp_path_factory: pytest.TempPathFactory):
    """Makes a self-signed certificate for a name, and a server's context with it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")

    def make(name: str) -> tuple[Path, ssl.SSLContext]:
        number = len(list(folder.iterdir()))
        certificate, key = folder / f"{number}.crt", folder / f"{number}.key"
        curve = "ec_paramgen_curve:prime256v1"
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=made up"),
                *("-newkey", "ec", "-pkeyopt", curve, "-keyout", key, "-out", certificate),
                *("-addext", f"subjectAltName={name}"),
                *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return certificate, context

    return make


@pytest.fixture(scope="module")
def certificate(make_certificate) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1."""
    return make_certificate("IP:127.0.0.1")


@pytest_asyncio.fixture
async def forwarder(complaints: list[dict[str, Any]]) -> AsyncIterator[RawServer]:
    """An HTTP proxy that records the CONNECT requests it gets."""
    async with RawServer() as server:
        server.scripts = [forward]
        yield server


@pytest.fixture
def proxy(forwarder: RawServer) -> HttpProxy:
    """The address of that proxy, with credentials."""
    return HttpProxy(TcpAddress("127.0.0.1", forwarder.port), Secret("user:S3CRET"))
