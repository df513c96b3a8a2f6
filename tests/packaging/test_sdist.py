"""Tests the contents of the sdist: everything needed to build and test the program."""

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovh_proxy import __version__

ROOT = Path(__file__).parents[2]
FILES = {
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "requirements-lock.txt",
}
FOLDERS = (".github", "config", "docs", "ovh_proxy", "tests")


@pytest.fixture(scope="module")
def unpacked(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built.sdist) as opened:
        opened.extractall(folder, filter="data")
    return folder / f"ovh_proxy-{__version__}"


def files(root: Path) -> set[str]:
    """The files below a directory, except bytecode."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_sdist_contains_the_whole_folder(unpacked: Path, folder: str) -> None:
    assert files(unpacked / folder) == files(ROOT / folder)


def test_the_sdist_contains_nothing_else(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}

    assert names == FILES | {*FOLDERS, "PKG-INFO"}


def test_the_sdist_builds_the_same_wheel(
    unpacked: Path, built: Any, build: Callable[[Path], Any]
) -> None:
    again = build(unpacked)

    assert _contents(again.wheel) == _contents(built.wheel)


def _contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as opened:
        return {member.filename: member.CRC for member in opened.infolist()}
