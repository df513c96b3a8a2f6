import asyncio
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from support.command import environment
from support.ended import Ask

from ovh_proxy.cli.demo import ListenAddress, call_me, run_demo
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

ANYWHERE = ListenAddress(TcpAddress("127.0.0.1", 0), falls_back=False)
FREE = "127.0.0.1:0"
HEX = "[0-9a-f]{40}"


async def test_with_once_it_shows_a_request_before_and_after_it_is_signed(start: Ask) -> None:
    ended = await start("demo", "--once", "--listen", FREE)

    request, outgoing, response = re.split(r"\n\n\d  Re.*\n\n", ended.out)[1:]
    assert (ended.code, ended.err) == (0, "")
    assert request.splitlines()[0] == "   GET /me HTTP/1.1"
    assert "X-Ovh" not in request
    assert outgoing.splitlines()[0] == "   GET /1.0/me HTTP/1.1"
    assert re.search(r"X-Ovh-Application: \w{16}  \(made up\)\n", outgoing)
    assert re.search(r"X-Ovh-Consumer: \w{32}  \(made up\)\n", outgoing)
    assert re.search(rf"X-Ovh-Timestamp: \d+\n   X-Ovh-Signature: \$1\${HEX}$", outgoing)
    assert "\n\n3  Response of the API: signature accepted\n\n" in ended.out
    assert response.splitlines()[0] == "   HTTP/1.1 200 OK"
    assert '"firstname":"Zoé"' in response


async def test_without_a_terminal_it_is_plain_and_fits_80_columns(start: Ask) -> None:
    ended = await start("demo", "--once", "--listen", FREE)

    lines = ended.out.splitlines()
    assert "\x1b" not in ended.out
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45


async def test_on_a_terminal_the_verdict_is_green(home: Path) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    terminal, child_terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "demo", "--once", "--listen", FREE),
        env=environment(home, TERM="xterm-256color"),
        stdout=child_terminal,
    )
    os.close(child_terminal)

    code = await asyncio.wait_for(process.wait(), 30)

    output = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert code == 0
    assert "\x1b[1;32m3  Response of the API: signature accepted\x1b[0m" in output


async def test_it_needs_no_files_and_ignores_existing_ones(start: Ask, home: Path) -> None:
    (home / ".config/ovh-proxy").mkdir(parents=True)
    for name in ("credentials.yaml", "ovh-proxy.yaml"):
        (home / ".config/ovh-proxy" / name).write_text("no: {store")

    ended = await start("demo", "--once", "--listen", FREE, OVH_PROXY_CREDENTIALS="nowhere")

    assert (ended.code, ended.err) == (0, "")


async def _until(process: asyncio.subprocess.Process, end: str) -> str:
    """The output up to the line with this end."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not lines or not lines[-1].endswith(f"{end}\n"):
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], lines
    return "".join(lines)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_every_example_command_works(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "demo", "--listen", FREE),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed = await _until(process, "Press Ctrl-C to stop.")
    pasted = printed.partition("in another terminal\n")[2].replace("\\\n", "")
    commands = [line for line in pasted.splitlines() if line.startswith("   curl ")]

    results = [
        await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", command.replace("curl", "curl -s -w ' %{http_code}'", 1)],
            capture_output=True,
            check=True,
        )
        for command in commands
    ]

    process.send_signal(signal.SIGINT)
    _, log = await asyncio.wait_for(process.communicate(), 20)
    statuses = [result.stdout.decode()[-3:] for result in results]
    assert statuses == ["200"] * (len(commands) - 1) + ["403"]
    assert len(commands) == 6
    assert b'"subDomain":"caf\\u00e9"' in results[1].stdout or "café" in results[1].stdout.decode()
    assert b"ACCESS_DENIED" in results[-1].stdout
    assert process.returncode == 0
    assert log.decode().count(" request ") == 4  # the proxy's own routes are logged at debug


async def test_a_free_port_is_used_if_the_default_port_is_taken() -> None:
    output = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = ListenAddress(TcpAddress("127.0.0.1", port), falls_back=True)

        code = await run_demo(Sandbox(), listen, True, Console(file=output))

    assert code == 0
    assert f"Port {port} is in use; the proxy uses a free port instead.\n" in output.getvalue()
    assert f"to the proxy at http://127.0.0.1:{port}:" not in output.getvalue()


async def test_a_configured_address_that_is_taken_is_an_error(start: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await start("demo", "--once", "--listen", address)

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"ovh-proxy: cannot listen on {address}: ")


@pytest.mark.parametrize(
    ("address", "message"),
    [("8080", "has no host"), ("0.0.0.0:0", "--listen 0.0.0.0:0: demo listens only on")],
)
async def test_an_invalid_address_is_a_usage_error(start: Ask, address: str, message: str) -> None:
    ended = await start("demo", "--once", "--listen", address)

    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


async def test_a_rejected_signature_fails_the_demo() -> None:
    sandbox, output = Sandbox(), io.StringIO()
    sandbox.faults.always("refuse=INVALID_SIGNATURE")

    code = await run_demo(sandbox, ANYWHERE, True, Console(file=output))

    assert code == 1
    assert "signature NOT accepted (refused: INVALID_SIGNATURE)" in output.getvalue()


async def test_a_request_that_never_reaches_the_api_fails_the_demo() -> None:
    sandbox = Sandbox()
    sandbox.faults.always("cut=before-head", path="/auth/time")

    with pytest.raises(CommandFailed, match=r"the proxy responded HTTP/1\.1 50"):
        await run_demo(sandbox, ANYWHERE, True, Console(file=io.StringIO()))


async def test_a_proxy_that_does_not_respond_fails_the_demo() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        url = "http://{}:{}".format(*bound.getsockname())

        with pytest.raises(CommandFailed, match=f"the proxy at {url} did not respond"):
            await call_me(url, Sandbox())


async def test_it_does_not_serve_without_the_c_parser(start: Ask) -> None:
    ended = await start("demo", "--once", AIOHTTP_NO_EXTENSIONS="1")

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "AIOHTTP_NO_EXTENSIONS" in ended.err
