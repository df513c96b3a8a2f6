"""The Dockerfile, as it is written."""

import re
from pathlib import Path

from support.tools import said_by, tool

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def test_hadolint_finds_nothing():
    said = said_by(tool("hadolint"), DOCKERFILE)

    assert (said.returncode, said.stdout) == (0, "")


def test_both_stages_stand_on_the_same_base():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)

    assert len(bases) == 2
    assert re.fullmatch(r"[\w:.-]+@sha256:[0-9a-f]{64}", bases[0])
    assert len(set(bases)) == 1


def test_everything_that_is_installed_comes_from_a_lock_file_by_its_hash():
    text = DOCKERFILE.read_text().replace("\\\n", "")

    installs = re.findall(r"pip\S*(?: --python \S+)? install ([^&\n]+)", text)

    assert len(installs) == 3
    assert all(
        one.startswith(("--require-hashes --no-deps -r ", "--no-deps --no-index "))
        for one in installs
    )


def test_programs_are_started_without_a_shell():
    started = re.findall(r"^\s*(?:CMD|ENTRYPOINT)\s+(.)", DOCKERFILE.read_text(), re.MULTILINE)

    assert started == ["["] * 3
