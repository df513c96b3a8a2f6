"""Where the authority is kept, and what becomes of it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.tls.stored_authority import AuthorityFiles


@pytest.fixture
def files(tmp_path: Path) -> AuthorityFiles:
    """Files that nobody has made yet."""
    return AuthorityFiles(tmp_path / "state")


def made(text: str = "1") -> tuple[str, str]:
    return f"private {text}", f"public {text}"


def modes(*paths: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in paths]


def test_the_files_are_for_their_owner_alone(files):
    before = os.umask(0)
    try:
        files.create(made)
    finally:
        os.umask(before)

    assert (files.read(), files.public.read_text()) == made()
    assert modes(files.private, files.private.parent, files.private.parent.parent) == [
        0o600,
        0o700,
        0o700,
    ]


def test_what_is_there_stays(files):
    files.create(made)

    files.create(lambda: made("2"))

    assert files.read() == "private 1"


def test_what_is_there_makes_place_when_it_should(files):
    files.create(made)

    files.create(lambda: made("2"), replaces=True)

    assert (files.read(), files.public.read_text()) == made("2")


# A process of its own that begins when it is told to.
KEEPER = """\
import os, sys
from pathlib import Path
from ovh_proxy.tls.stored_authority import AuthorityFiles

files = AuthorityFiles(Path(sys.argv[1]))
print("up", flush=True)
sys.stdin.readline()
files.create(lambda: (f"private {os.getpid()}", f"public {os.getpid()}"))
print(files.read())
"""


def test_processes_that_begin_at_once_keep_one(tmp_path):
    with contextlib.ExitStack() as stack:
        keepers = [stack.enter_context(keeper(tmp_path / "state")) for _ in range(4)]
        up = [one.stdout.readline() for one in keepers]
        for one in keepers:
            one.stdin.write("go\n")
            one.stdin.flush()

        kept = [one.communicate(timeout=30)[0] for one in keepers]

    assert up == ["up\n"] * 4
    assert kept[0].startswith("private ")
    assert set(kept) == {kept[0]}


@contextlib.contextmanager
def keeper(state: Path) -> Iterator[subprocess.Popen]:
    """A process that waits to keep an authority, and is gone at the end of the block."""
    command = [sys.executable, "-c", KEEPER, state]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_crash_between_both_files_is_mended(files):
    files.create(made)
    files.public.unlink()

    files.publish("public 1")

    assert files.public.read_text() == "public 1"


def test_a_public_file_that_is_right_is_left_alone(files):
    files.create(made)
    before = files.public.stat()

    files.publish("public 1")

    assert files.public.stat().st_ino == before.st_ino


def test_a_link_in_the_place_of_a_new_file_is_replaced_and_not_followed(files, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    files.create(made)
    files.public.unlink()
    files.public.symlink_to(victim)
    files.private.with_name(".key.pem.new").symlink_to(victim)

    files.create(lambda: made("2"), replaces=True)

    assert victim.read_text() == "precious"
    assert files.public.read_text() == "public 2"


def test_a_link_in_the_place_of_the_lock_is_refused(files, tmp_path):
    files.private.parent.mkdir(parents=True)
    files.private.with_name(".key.pem.lock").symlink_to(tmp_path / "made by the lock")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR"):
        files.create(made)

    assert not (tmp_path / "made by the lock").exists()


def test_where_nothing_can_be_written_it_is_told_what_to_set(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR to a directory that you own"):
        AuthorityFiles(tmp_path / "state").create(made)


def test_nothing_to_read_is_told(files):
    with pytest.raises(CommandFailed, match=r"key\.pem does not exist"):
        files.read()


def test_a_writer_that_hangs_is_told(files, tmp_path):
    impatient = AuthorityFiles(tmp_path / "state", wait_s=0.05)

    def make() -> tuple[str, str]:
        with pytest.raises(CommandFailed, match="is being written by another ovh-proxy"):
            impatient.create(made)
        return made("2")

    files.create(make)

    assert files.read() == "private 2"
