"""A start-up line that cannot be written does not matter."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from support.command import environment
from support.process import write_files
from support.raw_server import within
from support.serving import call
from support.workers import until

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and workers exist on Linux only"),
]


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def pipe_without_a_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "make", [full_disk, pipe_without_a_reader], ids=["full disk", "closed pipe"]
)
async def test_a_start_up_line_that_cannot_be_written_affects_no_call(
    tmp_path, upstream, make, workers
):
    path, listening = tmp_path / "s", make()
    files = write_files(tmp_path, upstream, f"listen: ['unix:{path}']\n")
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ovh_proxy", "run", *files, "--workers", workers),
            env=environment(tmp_path),
            stdout=listening,
            stderr=log,
        )
    os.close(listening)
    try:
        await until(lambda: upstream.states_told > 0 or process.returncode is not None)

        answer = await ask(path)

        process.send_signal(signal.SIGTERM)
        code = await within(process.wait())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert code == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


async def ask(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(call("GET", "Connection: close"))
    answer = await within(reader.read())
    writer.close()
    return answer
