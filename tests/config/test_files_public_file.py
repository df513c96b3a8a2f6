import os
import threading

import pytest

from ovh_proxy.config.files import write_public
from ovh_proxy.core.errors import CommandFailed


def test_a_new_public_file_is_readable_by_everyone(tmp_path):
    before = os.umask(0o022)
    try:
        write_public(str(tmp_path / "ca.pem"), "text")
    finally:
        os.umask(before)

    assert (tmp_path / "ca.pem").read_text() == "text"
    assert (tmp_path / "ca.pem").stat().st_mode & 0o777 == 0o644


def test_the_target_of_a_link_is_replaced_atomically(tmp_path):
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    reader = (tmp_path / "real").open()

    write_public(str(tmp_path / "link"), "after")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"
    with reader:
        assert reader.read() == "before"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    write_public(str(pipe), "text")

    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["", "missing/ca.pem"], ids=["a directory", "no directory"])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path, name):
    with pytest.raises(CommandFailed, match="cannot write "):
        write_public(str(tmp_path / name), "text")
