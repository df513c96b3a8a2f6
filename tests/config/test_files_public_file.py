import os
import threading

import pytest

from ovh_proxy.config.files import write_public
from ovh_proxy.core.errors import CommandFailed


def test_a_new_file_may_be_read_by_all(tmp_path):
    before = os.umask(0o022)
    try:
        write_public(str(tmp_path / "ca.pem"), "text")
    finally:
        os.umask(before)

    assert (tmp_path / "ca.pem").read_text() == "text"
    assert (tmp_path / "ca.pem").stat().st_mode & 0o777 == 0o644


def test_a_file_is_replaced_whole_where_a_link_leads(tmp_path):
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    reader = (tmp_path / "real").open()

    write_public(str(tmp_path / "link"), "after")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"
    with reader:
        assert reader.read() == "before"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_into_and_stays(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    write_public(str(pipe), "text")

    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["", "missing/ca.pem"], ids=["a directory", "no directory"])
def test_what_cannot_be_written_is_told(tmp_path, name):
    with pytest.raises(CommandFailed, match="cannot be written: "):
        write_public(str(tmp_path / name), "text")
