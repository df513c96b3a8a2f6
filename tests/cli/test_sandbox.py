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


async def test_the_first_line_has_the_url_when_it_accepts(home: Path) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=5).close()

        line = sandbox.line

    assert line == f"ovh-proxy sandbox: listening on http://127.0.0.1:{port}"
    assert port != "0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
async def test_a_signal_stops_it_cleanly(home: Path, number: signal.Signals) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        code = await sandbox.stop(number)

    assert (code, (home / "log").read_text()) == (0, "")


async def test_the_printed_store_works_unchanged(home: Path) -> None:
    async with running(home, "sandbox", *FREE) as sandbox:
        printed = await _until(sandbox.process, "# Then, in another terminal: ")
        store = home / "sandbox.yaml"
        store.write_text(printed.partition(":\ndefault: ")[2].join(("default: ", "")))
        store.chmod(0o600)

        async with running(
            home, "run", *FREE, "--credentials", store, env={"OVH_PROXY_LOG_LEVEL": "error"}
        ) as proxy:
            responses = [await _curl(f"{proxy.url}{path}") for path in _PATHS]

    assert [response["nichandle"] for response in responses] == ["zl12345-ovh"] * 3
    assert printed.endswith("ovh-proxy run --credentials sandbox.yaml\n")


_PATHS = ("/me", "/@robot/me", "/@personal-access/me")


async def _until(process: asyncio.subprocess.Process, start: str) -> str:
    """The output up to the line with this beginning."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(10):
        while not lines or not lines[-1].startswith(start):
            lines.append((await process.stdout.readline()).decode())
    return "".join(lines)


async def _curl(url: str) -> dict[str, object]:
    """The response to a client without keys, such as curl."""
    return json.loads(await outside(_get, url))


def _get(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read()


async def test_a_store_is_written_with_mode_0600(home: Path) -> None:
    async with running(home, "sandbox", *FREE, "--write", "made-up.yaml") as sandbox:
        printed = await _until(sandbox.process, "# In another terminal: ")

    file = home / "made-up.yaml"
    store = load_store(Sources(credentials=str(file)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(store.profiles) == {"sandbox", "robot", "personal-access"}
    assert printed.endswith("ovh-proxy run --credentials made-up.yaml\n")
    assert grants.APPLICATION_SECRET not in printed


async def test_an_existing_store_is_not_overwritten(start: Ask, home: Path) -> None:
    (home / "mine.yaml").write_text("precious")

    ended = await start("sandbox", *FREE, "--write", "mine.yaml")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "ovh-proxy: --write: mine.yaml already exists; use --force to replace it\n"
    assert (home / "mine.yaml").read_text() == "precious"


async def test_force_replaces_a_link_and_not_its_target(home: Path) -> None:
    (home / "precious").write_text("precious")
    (home / "link.yaml").symlink_to("precious")

    async with running(home, "sandbox", *FREE, "--write", "link.yaml", "--force"):
        written = (home / "link.yaml").read_text()

    assert written.startswith("default: sandbox\n")
    assert (home / "precious").read_text() == "precious"


async def test_a_store_that_cannot_be_written_is_an_error(start: Ask, home: Path) -> None:
    ended = await start("sandbox", *FREE, "--write", "nowhere/made-up.yaml")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "ovh-proxy: --write: cannot write nowhere/made-up.yaml: no such file or directory\n"
    )


async def test_the_error_names_a_port_that_is_in_use(start: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await start("sandbox", "--listen", address)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"ovh-proxy: cannot listen on {address}: address already in use\n"


async def test_the_error_names_a_host_that_does_not_resolve(start: Ask) -> None:
    ended = await start("sandbox", "--listen", "nosuch.invalid:0")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("ovh-proxy: cannot listen on nosuch.invalid:0: ")
    assert "resolve" in ended.err


@pytest.mark.parametrize("address", ["8180", "localhost", "unix:/run/x.sock", "127.0.0.1:99999"])
async def test_an_invalid_address_is_a_usage_error(start: Ask, address: str) -> None:
    ended = await start("sandbox", "--listen", address)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"ovh-proxy: --listen {address}: ")
