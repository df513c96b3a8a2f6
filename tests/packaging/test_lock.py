"""Tests the pinned versions of the image: all dependencies of pyproject.toml, with hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
# A pin continues on the next line after a backslash.
PINS = (ROOT / "requirements-lock.txt").read_text().replace("\\\n", "").splitlines()
VERSIONS = dict(
    found.groups() for pin in PINS if (found := re.match(r"([\w-]+)==([^\s;]+)", pin)) is not None
)


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_pinned_to_an_allowed_version(dependency: str) -> None:
    required = Requirement(dependency)

    # The file normalizes `.`, `_` and `-` in names to `-`.
    pinned = VERSIONS.get(re.sub(r"[._]", "-", required.name))

    assert pinned is not None, "run: make lock"
    assert required.specifier.contains(pinned), "run: make lock"


def test_every_pin_has_hashes() -> None:
    pins = [pin for pin in PINS if not pin.startswith("#")]

    assert [pin for pin in pins if not re.search(r" --hash=sha256:[0-9a-f]{64}", pin)] == []
    assert len(pins) == len(VERSIONS)
