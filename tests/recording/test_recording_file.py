import os
import stat
from pathlib import Path

import pytest

from ovh_proxy.core.errors import ConfigurationError, UsageError
from ovh_proxy.recording.calls import RecordedCall
from ovh_proxy.recording.recording_file import append_calls, open_recording, read_recording

ME = RecordedCall("personal", "ovh-eu", "/me", "GET")
BILL = RecordedCall("personal", "ovh-eu", "/me/bill/*", "GET")


def test_a_new_recording_is_private(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"

    recording = open_recording(str(path))

    assert recording.calls == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_calls_are_appended(tmp_path: Path) -> None:
    path = str(tmp_path / "rules.jsonl")
    append_calls(path, [ME])

    append_calls(path, [BILL])

    assert read_recording(path) == (ME, BILL)
    assert open_recording(path).calls == (ME, BILL)


def test_opening_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text(ME.to_line().rstrip())

    open_recording(str(path))

    assert path.read_text() == ME.to_line().rstrip()


def test_an_incomplete_last_line_is_terminated(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text(ME.to_line().rstrip())

    append_calls(str(path), [BILL])

    assert read_recording(str(path)) == (ME, BILL)


def test_a_missing_recording_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_recording(str(tmp_path / "nowhere"))


def _fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def _dangling(tmp_path: Path) -> str:
    (tmp_path / "link").symlink_to(tmp_path / "no" / "where")
    return str(tmp_path / "link")


@pytest.mark.parametrize(
    "make",
    [str, _fifo, _dangling, lambda tmp: f"{tmp}/no/where", lambda tmp: f"{tmp}/\0"],
    ids=["directory", "pipe", "dangling link", "no directory", "no name"],
)
def test_a_file_that_cannot_be_written_is_rejected(tmp_path: Path, make: object) -> None:
    assert callable(make)

    with pytest.raises(UsageError, match=r"not a regular file|cannot be written"):
        open_recording(make(tmp_path))


def test_a_file_that_is_not_a_recording_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "credentials.yaml"
    path.write_text("profiles:\n")

    with pytest.raises(ConfigurationError):
        open_recording(str(path))

    assert path.read_text() == "profiles:\n"
