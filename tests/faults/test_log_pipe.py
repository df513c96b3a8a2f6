"""A log that is not read loses lines, but never affects calls."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from support.process import Command, command
from support.proxy_server import read_message
from support.raw_server import within
from support.serving import call

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can set the size of a pipe"),
]

# The maximum length of path and request ID in the log, for long lines.
LONG = call("GET", "X-Ovh-Proxy-Request-Id: " + "b" * 128, target="/" + "a" * 600)
MANY = 2000
DROPPED = b"\novh_proxy_log_lines_dropped_total "


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of one page: its read end and its write end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(reading)
    os.close(writing)


async def dropped(running: Command) -> float:
    page = await running.ask(call(target="/-/metrics"))
    assert page is not None
    return float(page.body.partition(DROPPED)[2].partition(b"\n")[0])


async def statuses(running: Command, count: int) -> set[int]:
    """The statuses of a number of calls, one after the other."""
    reader, writer = await running.connect()
    found = set()
    for _ in range(count):
        writer.write(LONG)
        found.add((await within(read_message(reader))).status)
    writer.close()
    return found


async def test_a_full_pipe_loses_log_lines_and_no_call(tmp_path, upstream, pipe):
    reading, writing = pipe
    async with command(tmp_path, upstream, stderr=writing) as running:
        answered = await statuses(running, MANY)

        assert answered == {200}
        assert 0 < await dropped(running) < MANY
        # Buffered lines are written once the pipe is read, whole and in order.
        line = await asyncio.to_thread(os.read, reading, 100)
        assert line.startswith(b'{"time"')
        running.process.send_signal(signal.SIGTERM)
        assert await within(running.process.wait()) == 0


async def test_a_closed_pipe_loses_log_lines_and_no_call(tmp_path, upstream):
    reading, writing = os.pipe()
    async with command(tmp_path, upstream, stderr=writing) as running:
        os.close(reading)
        os.close(writing)

        answered = await statuses(running, 20)

        assert answered == {200}
        assert await dropped(running) >= 20


async def test_a_full_disk_loses_log_lines_and_no_call(tmp_path, upstream):
    # POSIX: blocks of 512 bytes; two of them.
    limited = ("sh", "-c", 'ulimit -f 2 && exec "$@"', "sh")
    async with command(tmp_path, upstream, under=limited) as running:
        answered = await statuses(running, 20)

        assert answered == {200}
        assert await dropped(running) > 0
