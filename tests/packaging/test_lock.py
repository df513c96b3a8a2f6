"""The pins of the image: what pyproject.toml asks for, each with its hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ASKED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
# A pin goes on over lines that end in a backslash.
PINS = (ROOT / "requirements-lock.txt").read_text().replace("\\\n", "").splitlines()
VERSIONS = dict(
    found.groups() for pin in PINS if (found := re.match(r"([\w-]+)==([^\s;]+)", pin)) is not None
)


@pytest.mark.parametrize("dependency", ASKED)
def test_a_dependency_is_pinned_to_a_version_that_it_may_have(dependency: str) -> None:
    asked = Requirement(dependency)

    # Of names that differ in `.`, `_` and `-` alone the file has the one with `-`.
    pinned = VERSIONS.get(re.sub(r"[._]", "-", asked.name))

    assert pinned is not None, "run: make lock"
    assert asked.specifier.contains(pinned), "run: make lock"


def test_every_pin_has_hashes() -> None:
    pins = [pin for pin in PINS if not pin.startswith("#")]

    assert [pin for pin in pins if not re.search(r" --hash=sha256:[0-9a-f]{64}", pin)] == []
    assert len(pins) == len(VERSIONS)
