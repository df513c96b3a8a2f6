"""Owners and permissions of the authority's files."""

import os
import shlex
from pathlib import Path

import pytest

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.tls.stored_authority import AuthorityFiles

ROOT, SOMEBODY, ANOTHER = 0, 4321, 4322


@pytest.fixture
def files(tmp_path: Path) -> AuthorityFiles:
    """Files that do not exist yet."""
    return AuthorityFiles(tmp_path / "state")


def made(text: str = "1") -> tuple[str, str]:
    return f"private {text}", f"public {text}"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o777])
def test_a_key_that_other_users_can_read_is_rejected(files, mode):
    files.create(made)
    if os.geteuid() == ROOT:
        os.chown(files.private, SOMEBODY, -1)
    files.private.chmod(mode)

    with pytest.raises(CommandFailed) as caught:
        files.read()

    message = str(caught.value)
    assert message.startswith(f"{files.private} is accessible to other users")
    assert message.endswith(f"run: chmod 600 {shlex.quote(str(files.private))}")


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
@pytest.mark.parametrize("act", ["keep", "read"])
def test_a_directory_that_other_users_can_write_to_is_rejected(files, mode, act):
    files.create(made)
    files.private.parent.chmod(mode)

    with pytest.raises(CommandFailed, match=f"run: chmod 700 {files.private.parent}$"):
        files.create(made, replaces=True) if act == "keep" else files.read()

    assert files.private.read_text() == "private 1"


@pytest.mark.parametrize("mode", [0o755, 0o750])
def test_a_directory_that_other_users_can_list_is_accepted(files, mode):
    files.create(made)
    files.private.parent.chmod(mode)

    assert files.read() == "private 1"


def give_away(path: Path) -> int:
    """Gives the path to another user; returns the user ID to act as."""
    if os.geteuid() == ROOT:
        os.chown(path, SOMEBODY, -1, follow_symlinks=False)
        return ANOTHER
    return os.geteuid() + 1


def test_a_directory_of_another_user_is_rejected(files, tmp_path):
    files.create(made)
    user = give_away(files.private.parent)

    with pytest.raises(CommandFailed, match="belongs to another user; set OVH_PROXY_STATE_DIR"):
        AuthorityFiles(tmp_path / "state", user=user).read()


def test_a_link_of_another_user_is_rejected(files, tmp_path):
    files.create(made)
    (tmp_path / "tmp").mkdir()
    link = tmp_path / "tmp" / "ca"
    link.symlink_to(files.private.parent)
    user = give_away(link)

    with pytest.raises(CommandFailed, match="belongs to another user"):
        AuthorityFiles(tmp_path / "tmp", user=user).create(made, replaces=True)

    assert files.read() == "private 1"


def test_a_link_into_a_directory_of_another_user_is_rejected(files, tmp_path):
    files.create(made)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ca").symlink_to(files.private.parent)
    user = give_away(files.private.parent)

    with pytest.raises(CommandFailed, match="belongs to another user"):
        AuthorityFiles(tmp_path / "own", user=user).read()


def test_a_link_of_the_same_user_is_followed(files, tmp_path):
    files.create(made)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ca").symlink_to(files.private.parent)

    assert AuthorityFiles(tmp_path / "elsewhere").read() == "private 1"


def test_root_can_read_the_files_of_a_service_user(files, tmp_path):
    files.create(made)
    give_away(files.private.parent)

    assert AuthorityFiles(tmp_path / "state", user=ROOT).read() == "private 1"
