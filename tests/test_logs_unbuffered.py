"""The log of a process without an event loop."""

import os
import sys

import pytest

from ovh_proxy.logs import UnbufferedLogStream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers do not exist on Windows")


@pytest.fixture
def pipe():
    """Both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_line_is_written_immediately(pipe):
    reader, writer = pipe

    UnbufferedLogStream(writer).write("é\n")

    assert os.read(reader, 100) == "é\n".encode()


def test_a_pipe_that_is_not_read_loses_lines_but_never_blocks(pipe):
    log = UnbufferedLogStream(pipe[1])

    for _ in range(100):
        log.write("x" * 2000 + "\n")

    assert 0 < log.dropped < 100


def test_every_line_is_written_to_a_file(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        log = UnbufferedLogStream(file.fileno())
        for _ in range(100):
            log.write("x" * 2000 + "\n")
        is_terminal = log.isatty()

    assert (tmp_path / "log").stat().st_size == 200_100
    assert (log.dropped, is_terminal) == (0, False)
