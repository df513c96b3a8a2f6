import asyncio
import json
import signal
import socket
import stat
from pathlib import Path

import pytest
from support.command import running
from support.ended import Ask
from support.running import outside

from ovh_proxy.config.loader import load_store
from ovh_proxy.config.sources import Sources
from ovh_proxy.sandbox import grants

pytestmark = pytest.mark.asyncio

FREE = ("--listen", "127.0.0.1:0")


async def test_its_first_line_says_where_once_it_accepts(home: Path) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=5).close()

        line = sandbox.line

    assert line == f"ovh-proxy sandbox: listening on http://127.0.0.1:{port}"
    assert port != "0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
async def test_a_signal_ends_it_cleanly(home: Path, number: signal.Signals) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        code = await sandbox.stop(number)

    assert (code, (home / "log").read_text()) == (0, "")


async def test_the_store_that_it_prints_serves_as_it_is(home: Path) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        printed = await _until(sandbox.process, "# Then, in another terminal: ")
        store = home / "sandbox.yaml"
        store.write_text(printed.partition(":\ndefault: ")[2].join(("default: ", "")))
        store.chmod(0o600)

        async with running(
            home, "run", *FREE, "--credentials", store, env={"OVH_PROXY_LOG_LEVEL": "error"}
        ) as proxy:
            answers = [await _curl(f"{proxy.url}{path}") for path in _PATHS]

    assert [answer["nichandle"] for answer in answers] == ["zl12345-ovh"] * 3
    assert printed.endswith("ovh-proxy run --credentials sandbox.yaml\n")


_PATHS = ("/me", "/@robot/me", "/@personal-access/me")


async def _until(process: asyncio.subprocess.Process, start: str) -> str:
    """What it prints up to the line that begins so."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(10):
        while not lines or not lines[-1].startswith(start):
            lines.append((await process.stdout.readline()).decode())
    return "".join(lines)


async def _curl(url: str) -> dict[str, object]:
    """The answer that curl, or whoever asks without any key, gets."""
    return json.loads(await outside(_get, url))


def _get(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


async def test_a_store_is_written_for_our_eyes_only(home: Path) -> None:
    async with running(home, "sandbox", *FREE, "--write", "made-up.yaml") as sandbox:
        printed = await _until(sandbox.process, "# Its credential store is in made-up.yaml")

    file = home / "made-up.yaml"
    store = load_store(Sources(credentials=str(file)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(store.profiles) == {"sandbox", "robot", "personal-access"}
    assert printed.endswith("ovh-proxy run --credentials made-up.yaml\n")
    assert grants.APPLICATION_SECRET not in printed


async def test_a_store_that_is_there_is_never_overwritten(start: Ask, home: Path) -> None:
    (home / "mine.yaml").write_text("precious")

    ended = await start("sandbox", *FREE, "--write", "mine.yaml")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "ovh-proxy: mine.yaml is there already; --force replaces it\n"
    assert (home / "mine.yaml").read_text() == "precious"


async def test_force_replaces_a_link_rather_than_what_it_leads_to(home: Path) -> None:
    (home / "precious").write_text("precious")
    (home / "link.yaml").symlink_to("precious")

    async with running(home, "sandbox", *FREE, "--write", "link.yaml", "--force"):
        written = (home / "link.yaml").read_text()

    assert written.startswith("default: sandbox\n")
    assert (home / "precious").read_text() == "precious"


async def test_a_store_that_cannot_be_written_is_told(start: Ask, home: Path) -> None:
    ended = await start("sandbox", *FREE, "--write", "nowhere/made-up.yaml")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "ovh-proxy: nowhere/made-up.yaml cannot be written: no such file or directory\n"
    )


async def test_a_port_in_use_is_named(start: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await start("sandbox", "--listen", address)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"ovh-proxy: cannot listen on {address}: address already in use\n"


async def test_a_host_that_is_none_is_told(start: Ask) -> None:
    ended = await start("sandbox", "--listen", "nosuch.invalid:0")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("ovh-proxy: cannot listen on nosuch.invalid:0: ")
    assert "resolve" in ended.err


@pytest.mark.parametrize("address", ["8180", "localhost", "unix:/run/x.sock", "127.0.0.1:99999"])
async def test_what_is_no_address_is_told(start: Ask, address: str) -> None:
    ended = await start("sandbox", "--listen", address)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"ovh-proxy: --listen {address}: ")
