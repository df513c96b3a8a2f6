"""`tls: auto` with clients that trust the authority, by its root certificate only."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.command import environment, running, write_store

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, new_key
from ovh_proxy.tls.certificates import load_chain, server_context
from ovh_proxy.tls.issuer import make_leaf
from ovh_proxy.tls.stored_authority import AuthorityFiles

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

BOUND_S = 30.0
PYTHON = """
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.load_verify_locations(sys.argv[2])
context.verify_flags |= ssl.VERIFY_X509_STRICT
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], context=context, timeout=20).read())
"""
NODE = """
require("https").get(process.argv[1], {ca: require("fs").readFileSync(process.argv[2])},
  (answer) => answer.pipe(process.stdout)).on("error", () => process.exit(1))
"""
# Each gets a URL and the certificate to trust, and prints the response.
CLIENTS = {
    "curl": ("curl", "-sS", "URL", "--cacert", "CA"),
    "wget": ("wget", "-q", "-t1", "-O", "-", "URL", "--ca-certificate", "CA"),
    "python": (sys.executable, "-c", PYTHON, "URL", "CA"),
    "node": ("node", "-e", NODE, "URL", "CA"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """The exit code and output of a client."""

    code: int
    out: bytes


async def ask(client: str, url: str, ca: Path, home: Path) -> Said:
    program, *arguments = CLIENTS[client]
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    process = await asyncio.create_subprocess_exec(
        program,
        *(url if word == "URL" else str(ca) if word == "CA" else word for word in arguments),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert process.returncode is not None
    return Said(process.returncode, out)


@dataclass(frozen=True, slots=True)
class Place:
    """A running proxy, and the files of its authority."""

    url: str
    home: Path
    files: AuthorityFiles


@pytest_asyncio.fixture
async def place(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Place]:
    """`ovh-proxy run` with `tls: auto`, in front of the sandbox."""
    store, config = write_store(tmp_path, sandbox), tmp_path / "ovh-proxy.yaml"
    config.write_text('listen:\n  - {tcp: "127.0.0.1:0", tls: auto}\n')
    flags = ("--credentials", store, "--config", config)
    env = {"OVH_PROXY_STATE_DIR": str(tmp_path / "state")}
    async with running(tmp_path, "run", *flags, env=env) as command:
        yield Place(command.url, tmp_path, AuthorityFiles(tmp_path / "state"))


@asynccontextmanager
async def impostor(authority: CertificateAuthority, *names: str) -> AsyncIterator[int]:
    """The port of a server with a certificate made with a stolen key."""
    key = new_key()
    context = server_context()
    chain = make_leaf(authority, names, key.public_key(), time.time()).encode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    load_chain(context, chain, pem)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nimpostor")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_that_trusts_the_authority_is_served(
    place: Place, sandbox: Sandbox, client: str
) -> None:
    url = place.url.replace("127.0.0.1", "localhost")

    result = await ask(client, f"{url}/me", place.files.public, place.home)

    assert result.code == 0
    assert b'"firstname"' in result.out
    assert b"/1.0/me" in [call.target for call in sandbox.requests]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_is_served_by_ip_address_too(place: Place, client: str) -> None:
    result = await ask(client, f"{place.url}/-/version", place.files.public, place.home)

    assert result.code == 0
    assert b'"version"' in result.out


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_that_trusts_another_authority_rejects_the_certificate(
    place: Place, sandbox: Sandbox, client: str
) -> None:
    other = place.home / "other.pem"
    other.write_text(make_authority(DEFAULT_CONSTRAINTS, time.time()).root_pem)

    result = await ask(client, f"{place.url}/me", other, place.home)

    assert result.code != 0
    assert result.out == b""
    assert b"/1.0/me" not in [call.target for call in sandbox.requests]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_stolen_key_deceives_no_client(tmp_path: Path, client: str) -> None:
    authority = make_authority(DEFAULT_CONSTRAINTS, time.time())
    root = tmp_path / "root.pem"
    root.write_text(authority.root_pem)

    async with impostor(authority, "localhost") as own:
        inside = await ask(client, f"https://localhost:{own}/", root, tmp_path)
    async with impostor(authority, "localhost", "www.example.com") as another:
        outside = await ask(client, f"https://localhost:{another}/", root, tmp_path)

    assert (inside.code, inside.out) == (0, b"impostor")
    assert outside.code != 0
    assert outside.out == b""


async def test_the_key_is_never_shown(place: Place) -> None:
    await ask("python", f"{place.url}/-/version", place.files.public, place.home)

    lines = place.files.private.read_text().split("-----")[2].split()
    text = (place.home / "log").read_text() + place.files.public.read_text()
    assert lines
    assert not any(line in text for line in lines)
