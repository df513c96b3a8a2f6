"""Appending lines to the audit file, and failures of the file."""

import errno
import io
import json
import os
import stat
import sys

import pytest

from ovh_proxy.core.errors import UsageError
from ovh_proxy.logs import Log
from ovh_proxy.observability.audit import AuditFile


@pytest.fixture
def text():
    """What is logged."""
    return io.StringIO()


@pytest.fixture
def log(text):
    return Log("debug", "json", text)


@pytest.fixture
def open_file(tmp_path, log):
    """Opens audit files, and closes them at the end."""
    opened = []

    def make(name="audit.log", **options):
        opened.append(AuditFile(str(tmp_path / name), log, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


class Disk:
    """Writes as much as there is space for, as the system does."""

    def __init__(self):
        self.free = 10_000

    def __call__(self, descriptor, text):
        if not self.free:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(descriptor, text[: self.free])
        self.free -= written
        return written


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_new_file_is_private(tmp_path, open_file):
    open_file()

    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_an_existing_file_is_appended_to(tmp_path, open_file):
    (tmp_path / "audit.log").write_text("before\n")
    file = open_file()

    file.append("after\n")

    assert (tmp_path / "audit.log").read_text() == "before\nafter\n"


def test_two_writers_lose_no_lines(tmp_path, open_file):
    one, other = open_file(), open_file()

    for number in range(50):
        one.append(f"one {number}\n")
        other.append(f"other {number}\n")

    lines = (tmp_path / "audit.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{who} {n}" for who in ("one", "other") for n in range(50))


@pytest.mark.parametrize("kind", ["directory", "pipe", "missing directory", "null byte"])
def test_the_error_for_a_file_that_cannot_be_opened_contains_its_name(tmp_path, log, kind):
    path = tmp_path / "audit.log"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "missing directory":
        path = tmp_path / "none" / "audit.log"
    name = f"{path}\0" if kind == "null byte" else str(path)

    with pytest.raises(UsageError, match=r"log\.audit: cannot open .*audit\.log.* \(.+\)"):
        AuditFile(name, log)


def test_a_pipe_with_a_reader_is_rejected(tmp_path, log):
    path = tmp_path / "audit.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(UsageError, match="it is not a regular file"):
        AuditFile(str(path), log)

    os.close(reader)


def test_a_full_disk_is_logged_once_and_every_lost_line_is_counted(text, open_file):
    disk = Disk()
    file = open_file(write=disk)
    disk.free = 0

    for _ in range(3):
        file.append("lost\n")

    [record] = [json.loads(line) for line in text.getvalue().splitlines()]
    assert (record["level"], record["reason"]) == ("error", "No space left on device")
    assert record["file"].endswith("audit.log")
    assert file.lost == 3


def test_a_truncated_line_does_not_break_the_next(tmp_path, text, open_file):
    disk = Disk()
    file = open_file(write=disk)
    disk.free = 3
    file.append("cut short\n")
    file.append("lost\n")
    disk.free = 10_000

    file.append("whole\n")

    assert (tmp_path / "audit.log").read_text().splitlines() == ["cut", "whole"]
    assert file.lost == 2
    messages = [json.loads(line)["message"] for line in text.getvalue().splitlines()]
    assert messages == [
        "cannot write to the audit file; requests continue without audit lines",
        "the audit file is writable again",
    ]


def test_a_file_that_was_renamed_gets_no_more_lines(tmp_path, open_file):
    file = open_file()
    file.append("first\n")
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")

    file.reopen()

    file.append("second\n")
    assert (tmp_path / "audit.log.1").read_text() == "first\n"
    assert (tmp_path / "audit.log").read_text() == "second\n"


def test_if_the_file_cannot_be_reopened_the_previous_one_is_used(tmp_path, text, open_file):
    file = open_file()
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    (tmp_path / "audit.log").mkdir()

    file.reopen()

    file.append("kept\n")
    assert (tmp_path / "audit.log.1").read_text() == "kept\n"
    [record] = [json.loads(line) for line in text.getvalue().splitlines()]
    assert record["level"] == "error"
    assert record["reason"]
