"""The files of the authority: created, replaced, repaired."""

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
    """Files that do not exist yet."""
    return AuthorityFiles(tmp_path / "state")


def made(text: str = "1") -> tuple[str, str]:
    return f"private {text}", f"public {text}"


def modes(*paths: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in paths]


def test_only_the_owner_can_read_the_files(files):
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


def test_existing_files_are_kept(files):
    files.create(made)

    files.create(lambda: made("2"))

    assert files.read() == "private 1"


def test_existing_files_are_replaced_on_request(files):
    files.create(made)

    files.create(lambda: made("2"), replaces=True)

    assert (files.read(), files.public.read_text()) == made("2")


# A separate process that starts on demand.
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


def test_concurrent_processes_create_one_authority(tmp_path):
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(keeper(tmp_path / "state")) for _ in range(4)]
        up = [one.stdout.readline() for one in processes]
        for one in processes:
            one.stdin.write("go\n")
            one.stdin.flush()

        texts = [one.communicate(timeout=30)[0] for one in processes]

    assert up == ["up\n"] * 4
    assert texts[0].startswith("private ")
    assert set(texts) == {texts[0]}


@contextlib.contextmanager
def keeper(state: Path) -> Iterator[subprocess.Popen]:
    """A process that waits to create an authority, killed at the end of the block."""
    command = [sys.executable, "-c", KEEPER, state]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_crash_between_both_files_is_repaired(files):
    files.create(made)
    files.public.unlink()

    files.publish("public 1")

    assert files.public.read_text() == "public 1"


def test_a_correct_public_file_is_not_rewritten(files):
    files.create(made)
    before = files.public.stat()

    files.publish("public 1")

    assert files.public.stat().st_ino == before.st_ino


def test_a_link_at_the_path_of_a_new_file_is_replaced_and_not_followed(files, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    files.create(made)
    files.public.unlink()
    files.public.symlink_to(victim)
    files.private.with_name(".key.pem.new").symlink_to(victim)

    files.create(lambda: made("2"), replaces=True)

    assert victim.read_text() == "precious"
    assert files.public.read_text() == "public 2"


def test_a_link_at_the_path_of_the_lock_is_rejected(files, tmp_path):
    files.private.parent.mkdir(parents=True)
    files.private.with_name(".key.pem.lock").symlink_to(tmp_path / "made by the lock")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR"):
        files.create(made)

    assert not (tmp_path / "made by the lock").exists()


def test_an_unwritable_directory_names_the_variable_to_set(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR to a directory that you own"):
        AuthorityFiles(tmp_path / "state").create(made)


def test_a_missing_file_is_an_error(files):
    with pytest.raises(CommandFailed, match=r"key\.pem does not exist"):
        files.read()


def test_a_hanging_writer_is_an_error(files, tmp_path):
    impatient = AuthorityFiles(tmp_path / "state", wait_s=0.05)

    def make() -> tuple[str, str]:
        with pytest.raises(CommandFailed, match="is locked by another ovh-proxy"):
            impatient.create(made)
        return made("2")

    files.create(make)

    assert files.read() == "private 2"
