import os

import pytest

from ovh_proxy.config.files import is_private, permission_problem

ROOT, USER = 0, 1000


@pytest.mark.parametrize(
    ("mode", "owner", "on_read_only_mount", "expected"),
    [
        (0o600, USER, False, True),
        (0o400, USER, False, True),
        (0o700, USER, False, True),
        (0o640, USER, False, False),
        (0o604, USER, False, False),
        (0o602, USER, False, False),
        (0o644, USER, True, True),
        (0o600, ROOT, False, True),
        (0o640, ROOT, False, True),
        (0o440, ROOT, False, True),
        (0o660, ROOT, False, False),
        (0o650, ROOT, False, False),
        (0o644, ROOT, False, False),
        (0o444, ROOT, True, True),
    ],
)
def test_a_file_of_secrets_is_private_to_its_owner_or_a_group_of_root(
    mode, owner, on_read_only_mount, expected
):
    assert is_private(0o100000 | mode, owner, on_read_only_mount) is expected


def test_the_command_that_fixes_a_mode_can_be_pasted(tmp_path):
    path = tmp_path / "a store"
    path.touch(mode=0o644)
    path.chmod(0o644)

    with path.open() as file:
        problem = permission_problem(file.fileno(), str(path))

    assert "(mode 0644)" in problem
    assert f"run: chmod 600 '{path}'" in problem


def test_a_private_file_has_no_problem(tmp_path):
    path = tmp_path / "store"
    path.touch(mode=0o600)

    with path.open() as file:
        assert permission_problem(file.fileno(), os.fspath(path)) is None
