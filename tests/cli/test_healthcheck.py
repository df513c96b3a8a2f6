import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.command import environment, running, write_store
from support.ended import Ask

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

FREE = ("--listen", "127.0.0.1:0")


@contextlib.asynccontextmanager
async def _responding(response: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a server that sends this response to every request."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(respond, "127.0.0.1", 0, ssl=tls) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_proxy_that_serves_is_alive(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", *FREE, "--credentials", store) as proxy:
        ended = await ask("healthcheck", "--url", proxy.url)

    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
async def test_a_unix_socket_works_too(ask: Ask, home: Path, sandbox: Sandbox, form: str) -> None:
    store, listen = write_store(home, sandbox), f"unix:{home}/api.sock"

    async with running(home, "run", "--listen", listen, "--credentials", store):
        ended = await ask("healthcheck", "--url", form.format(home / "api.sock"))

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("name", ["api@work.sock", pytest.param("@ovh-proxy-{}", id="abstract")])
@pytest.mark.skipif(sys.platform != "linux", reason="abstract names exist on Linux only")
async def test_only_a_leading_at_sign_means_an_abstract_socket(
    ask: Ask, home: Path, sandbox: Sandbox, name: str
) -> None:
    store = write_store(home, sandbox)
    where = name.format(os.getpid()) if name.startswith("@") else str(home / name)

    async with running(home, "run", "--listen", f"unix:{where}", "--credentials", store):
        ended = await ask("healthcheck", "--url", f"unix:{where}")

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
async def test_any_certificate_is_accepted_over_tls(ask: Ask, home: Path) -> None:
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-subj", "/CN=elsewhere", "-keyout", "key.pem", "-out", "cert.pem"),
        cwd=home,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(home / "cert.pem", home / "key.pem")

    async with _responding(b"HTTP/1.1 200 OK\r\n\r\n", tls) as url:
        ended = await ask("healthcheck", "--url", url.replace("http:", "https:"))

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("key", ["listen", "admin_listen"])
async def test_the_address_comes_from_the_settings_without_a_store(
    ask: Ask, home: Path, key: str
) -> None:
    async with _responding(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        address = url.removeprefix("http://")
        written = f"[{address}]" if key == "listen" else address
        (home / "ovh-proxy.yaml").write_text(f"{key}: {written}\n")

        ended = await ask("healthcheck", "--config", "ovh-proxy.yaml")

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [("OVH_PROXY_URL", "http://"), ("OVH_PROXY_LISTEN", ""), ("OVH_PROXY_ADMIN_LISTEN", "")],
)
async def test_the_address_comes_from_a_variable(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    async with _responding(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        monkeypatch.setenv(variable, scheme + url.removeprefix("http://"))

        ended = await ask("healthcheck")

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", None),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "responds with status 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "responds with status 404"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "is not a proxy"),
        (b"", "is not a proxy"),
    ],
    ids=["200", "401", "503", "404", "ssh", "nothing"],
)
async def test_the_response_decides(ask: Ask, response: bytes, message: str | None) -> None:
    async with _responding(response) as url:
        ended = await ask("healthcheck", "--url", url)

    assert ended.code == (1 if message else 0)
    assert ended.err.count("\n") == (1 if message else 0)
    assert (message or "") in ended.err


async def test_without_a_proxy_it_exits_with_1_and_names_the_address(ask: Ask) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = "{}:{}".format(*bound.getsockname())

        ended = await ask("healthcheck", "--url", f"http://{address}")

    assert (ended.code, ended.err) == (1, f"ovh-proxy: no proxy responds at {address}\n")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://localhost", "http://", "http://x:port", "http://["]
)
async def test_an_invalid_url_exits_with_2(ask: Ask, url: str) -> None:
    ended = await ask("healthcheck", "--url", url)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"ovh-proxy: --url: invalid URL '{url}'; use http://HOST:PORT")


async def test_an_inherited_listener_needs_a_url(ask: Ask, home: Path) -> None:
    (home / "ovh-proxy.yaml").write_text("listen: [fd:3]\n")

    ended = await ask("healthcheck", "--config", "ovh-proxy.yaml")

    assert ended.code == 2
    assert "cannot connect to the inherited listener fd:3; use --url" in ended.err


async def test_with_a_url_it_imports_nothing_heavy(home: Path) -> None:
    script = (
        "import sys\n"
        "from ovh_proxy.cli.main import main\n"
        "try: main(['healthcheck', '--url', 'http://127.0.0.1:1'])\n"
        "except SystemExit: print(*sorted({'aiohttp', 'rich', 'yaml', 'asyncio', 'pathlib',"
        " 'prometheus_client', 'httptools'} & set(sys.modules)))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", script),
        env=environment(home, PYTHONPATH=":".join(sys.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )

    out, _ = await asyncio.wait_for(process.communicate(), 20)

    assert out.decode().strip() == ""
