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
    assert re.fullmatch(r"[\w:.-]+@sha256:[0-9a-f]{64}", bases[0])
    assert len(set(bases)) == 1


def test_everything_is_installed_from_a_lock_file_with_hashes():
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
