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

from ovh_proxy.cli.demo import Listen, ask, show_and_serve
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

ANYWHERE = Listen(TcpAddress("127.0.0.1", 0), may_move=False)
FREE = "127.0.0.1:0"
HEX = "[0-9a-f]{40}"


async def test_once_it_shows_a_request_before_and_after_its_signature(start: Ask) -> None:
    ended = await start("demo", "--once", "--listen", FREE)

    came_in, went_out, said = re.split(r"\n\n\d  What .*\n\n", ended.out)[1:]
    assert (ended.code, ended.err) == (0, "")
    assert came_in.splitlines()[0] == "   GET /me HTTP/1.1"
    assert "X-Ovh" not in came_in
    assert went_out.splitlines()[0] == "   GET /1.0/me HTTP/1.1"
    assert re.search(r"X-Ovh-Application: \w{16}  \(made up\)\n", went_out)
    assert re.search(r"X-Ovh-Consumer: \w{32}  \(made up\)\n", went_out)
    assert re.search(rf"X-Ovh-Timestamp: \d+\n   X-Ovh-Signature: \$1\${HEX}$", went_out)
    assert "\n\n3  What the API said: signature accepted\n\n" in ended.out
    assert said.splitlines()[0] == "   HTTP/1.1 200 OK"
    assert '"firstname":"Zoé"' in said


async def test_elsewhere_than_on_a_terminal_it_is_plain_and_fits_80_columns(start: Ask) -> None:
    ended = await start("demo", "--once", "--listen", FREE)

    lines = ended.out.splitlines()
    assert "\x1b" not in ended.out
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45


async def test_on_a_terminal_the_verdict_is_green(home: Path) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "demo", "--once", "--listen", FREE),
        env=environment(home, TERM="xterm-256color"),
        stdout=theirs,
    )
    os.close(theirs)

    code = await asyncio.wait_for(process.wait(), 30)

    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert code == 0
    assert "\x1b[1;32m3  What the API said: signature accepted\x1b[0m" in said


async def test_it_needs_no_file_and_ignores_those_there(start: Ask, home: Path) -> None:
    (home / ".config/ovh-proxy").mkdir(parents=True)
    for name in ("credentials.yaml", "ovh-proxy.yaml"):
        (home / ".config/ovh-proxy" / name).write_text("no: {store")

    ended = await start("demo", "--once", "--listen", FREE, OVH_PROXY_CREDENTIALS="nowhere")

    assert (ended.code, ended.err) == (0, "")


async def _until(process: asyncio.subprocess.Process, end: str) -> str:
    """What it prints up to the line that ends so."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not lines or not lines[-1].endswith(f"{end}\n"):
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], lines
    return "".join(lines)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_each_line_to_paste_does_what_it_says(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "demo", "--listen", FREE),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed = await _until(process, "Ctrl-C ends this.")
    pasted = printed.partition("in another terminal\n")[2].replace("\\\n", "")
    commands = [line for line in pasted.splitlines() if line.startswith("   curl ")]

    answers = [
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
    statuses = [answer.stdout.decode()[-3:] for answer in answers]
    assert statuses == ["200"] * (len(commands) - 1) + ["403"]
    assert len(commands) == 6
    assert b'"subDomain":"caf\\u00e9"' in answers[1].stdout or "café" in answers[1].stdout.decode()
    assert b"ACCESS_DENIED" in answers[-1].stdout
    assert process.returncode == 0
    assert log.decode().count(" request ") == 4  # its own routes are logged at debug


async def test_a_default_port_that_is_taken_is_said_and_another_serves() -> None:
    said = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = Listen(TcpAddress("127.0.0.1", port), may_move=True)

        code = await show_and_serve(Sandbox(), listen, True, Console(file=said))

    assert code == 0
    assert f"Port {port} is taken, so a free one serves.\n" in said.getvalue()
    assert f"at the proxy, http://127.0.0.1:{port}:" not in said.getvalue()


async def test_an_address_asked_for_that_is_taken_is_named(start: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await start("demo", "--once", "--listen", address)

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"ovh-proxy: cannot listen on {address}: ")


@pytest.mark.parametrize(
    ("address", "told"),
    [("8080", "has no host"), ("0.0.0.0:0", "for this machine alone")],
)
async def test_what_it_does_not_listen_on_is_told(start: Ask, address: str, told: str) -> None:
    ended = await start("demo", "--once", "--listen", address)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


async def test_a_signature_that_is_refused_fails_the_showing() -> None:
    sandbox, said = Sandbox(), io.StringIO()
    sandbox.faults.always("refuse=INVALID_SIGNATURE")

    code = await show_and_serve(sandbox, ANYWHERE, True, Console(file=said))

    assert code == 1
    assert "signature NOT accepted (refused: INVALID_SIGNATURE)" in said.getvalue()


async def test_a_request_that_never_arrives_fails_the_showing() -> None:
    sandbox = Sandbox()
    sandbox.faults.always("cut=before-head", path="/auth/time")

    with pytest.raises(CommandFailed, match=r"the proxy answered HTTP/1\.1 50"):
        await show_and_serve(sandbox, ANYWHERE, True, Console(file=io.StringIO()))


async def test_a_proxy_that_does_not_answer_fails_the_showing() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        url = "http://{}:{}".format(*bound.getsockname())

        with pytest.raises(CommandFailed, match="the proxy did not answer"):
            await ask(url, Sandbox())


async def test_without_the_c_parser_it_does_not_serve(start: Ask) -> None:
    ended = await start("demo", "--once", AIOHTTP_NO_EXTENSIONS="1")

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "AIOHTTP_NO_EXTENSIONS" in ended.err
