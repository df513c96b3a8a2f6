"""Lines of several processes in one pipe do not mix."""

import asyncio
import os
import sys

import pytest

from ovh_proxy.logs import BufferedLogStream

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="needs pipes that keep writes apart"),
]


@pytest.fixture
def pipe():
    """A pipe where each read returns the data of one write."""
    ends = os.pipe2(os.O_DIRECT)
    yield ends
    for end in ends:
        os.close(end)


async def test_whole_lines_are_written_to_a_pipe(pipe):
    reader, writer = pipe
    log = BufferedLogStream(writer)
    lines = [f"{number} {'x' * (number * 37 % 900)}\n" for number in range(50)]

    for line in lines:
        log.write(line)
    log.close()

    written = b""
    while len(written) < sum(map(len, lines)):
        piece = await asyncio.to_thread(os.read, reader, 65_536)
        assert piece.endswith(b"\n")
        assert len(piece) <= 4096
        written += piece
    assert written.decode() == "".join(lines)


async def test_a_line_longer_than_a_pipe_accepts_at_once_is_written_too(pipe):
    reader, writer = pipe
    log = BufferedLogStream(writer)

    log.write("x" * 10_000 + "\n")
    log.close()

    pieces = [await asyncio.to_thread(os.read, reader, 65_536) for _ in range(3)]
    assert [len(piece) for piece in pieces] == [4096, 4096, 1809]
