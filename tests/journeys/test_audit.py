"""The audit stream of the real command: rotated, shared by workers, on a full disk."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.command import running, write_store
from support.ended import Ended
from support.workers import Caller, proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and processes of Linux"),
]


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with profiles for the sandbox."""
    return write_store(tmp_path, sandbox)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with the audit log HOME/audit.log."""
    path = tmp_path / "settings.yaml"
    path.write_text("log: {audit: audit.log}\n")
    return path


async def ask(url: str, target: str) -> None:
    """Sends a request and waits for the whole response."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()


def paths(*files: Path) -> list[str]:
    """Returns the paths in the complete lines of audit files."""
    return [
        json.loads(line)["path"]
        for file in files
        if file.exists()
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rotated_file_is_not_written_after_sighup(
    tmp_path: Path, store: Path, config: Path, workers: int
) -> None:
    new, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    async with proxy_with_workers(
        tmp_path, store, "--config", str(config), workers=workers
    ) as proxy:
        callers = await proxy.call_each() if workers > 1 else [await proxy.call()]
        for caller in callers:
            await caller.ask("/me?before")
        await until(lambda: len(paths(new)) == workers)
        new.rename(old)

        os.kill(proxy.command.pid, signal.SIGHUP)

        pids = proxy.pids if workers > 1 else [proxy.command.pid]
        await until(lambda: all(str(new) in files_of(pid) for pid in pids))
        for caller in callers:
            await caller.ask("/ip")

    assert paths(old) == ["/me"] * workers
    assert paths(new) == ["/ip"] * workers


def files_of(pid: int) -> list[str]:
    """Returns the open files of a process."""
    found = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed in the meantime
            found.append(os.readlink(one))
    return found


async def test_workers_write_complete_lines_to_one_file(
    tmp_path: Path, store: Path, config: Path
) -> None:
    async with proxy_with_workers(tmp_path, store, "--config", str(config), workers=2) as proxy:
        callers = await proxy.call_each()

        await asyncio.gather(*(_ask_often(caller, number) for number, caller in enumerate(callers)))

    assert sorted(paths(tmp_path / "audit.log")) == sorted(
        f"/@personal/{number}/{count}" for number in (0, 1) for count in range(40)
    )


async def _ask_often(caller: Caller, number: int) -> None:
    for count in range(40):
        await caller.ask(f"/@personal/{number}/{count}")


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit (util-linux)")
async def test_a_full_disk_does_not_stop_requests(
    tmp_path: Path, store: Path, config: Path
) -> None:
    reader, writer = os.pipe()
    full = ("prlimit", "--fsize=400:unlimited")
    line = ("run", "--listen", "127.0.0.1:0", "--credentials", store, "--config", config)
    try:
        async with running(tmp_path, *line, under=full, stderr=writer) as proxy:
            for _ in range(4):
                await ask(proxy.url, "/me")
            room = ["prlimit", f"--pid={proxy.pid}", "--fsize=unlimited"]
            subprocess.run(room, check=True)

            await ask(proxy.url, "/ip")
    finally:
        os.close(writer)
    with open(reader, encoding="utf-8") as log:
        records = [json.loads(text) for text in log]

    assert [one["status"] for one in records if one["message"] == "request"] == [200] * 5
    messages = [one["message"] for one in records if "the audit file" in one["message"]]
    assert messages == [
        "cannot write to the audit file; requests continue without audit lines",
        "the audit file is writable again",
    ]
    assert json.loads((tmp_path / "audit.log").read_text().splitlines()[-1])["path"] == "/ip"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_file_that_cannot_be_opened_is_named_and_exit_code_2(
    tmp_path: Path, store: Path, config: Path, workers: str
) -> None:
    (tmp_path / "audit.log").mkdir()

    ended = await _run_until_end(tmp_path, store, config, workers)

    assert ended.code == 2
    assert ended.out == ""
    assert str(tmp_path / "audit.log") in ended.err
    assert ended.err.startswith("ovh-proxy: log.audit: ")
    assert "Traceback" not in ended.err


async def _run_until_end(home: Path, store: Path, config: Path, workers: str) -> Ended:
    command = [sys.executable, "-m", "ovh_proxy", "run", "--listen", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--workers", workers, "--credentials", str(store), "--config", str(config)),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
