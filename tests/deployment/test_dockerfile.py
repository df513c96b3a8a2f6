"""Static checks of the Dockerfile."""

import re
from pathlib import Path

from support.tools import said_by, tool

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def test_hadolint_finds_nothing():
    result = said_by(tool("hadolint"), DOCKERFILE)

    assert (result.returncode, result.stdout) == (0, "")


def test_both_stages_use_the_same_base_image():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)

    assert len(bases) == 2
    assert len(set(bases)) == 1


def test_dependencies_are_installed_from_the_lock_file_with_hashes():
    assert "install --require-hashes --no-deps -r requirements-lock.txt" in DOCKERFILE.read_text()


def test_programs_are_started_without_a_shell():
    started = re.findall(r"^\s*(?:CMD|ENTRYPOINT)\s+(.)", DOCKERFILE.read_text(), re.MULTILINE)

    assert started == ["["] * 3
