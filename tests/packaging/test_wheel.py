"""Tests the contents and the metadata of the wheel."""

import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from ovh_proxy import __version__

ROOT = Path(__file__).parents[2]
STEM = f"ovh_proxy-{__version__}"
ABOUT = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


@pytest.fixture
def wheel(built: Any) -> Any:
    """The opened wheel."""
    with zipfile.ZipFile(built.wheel) as opened:
        yield opened


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    """The metadata of the wheel."""
    return message_from_bytes(wheel.read(f"{STEM}.dist-info/METADATA"))


def test_the_wheel_is_for_every_system(built: Any) -> None:
    assert built.wheel.name == f"{STEM}-py3-none-any.whl"


def test_the_wheel_only_has_the_program_its_manual_and_its_completions(
    wheel: zipfile.ZipFile,
) -> None:
    program = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ovh_proxy").rglob("*.py")}
    share = {
        f"{STEM}.data/data/{path.relative_to(ROOT / 'config').as_posix()}"
        for path in (ROOT / "config/share").rglob("*")
        if path.is_file()
    }
    about = {f"{STEM}.dist-info/{name}" for name in ABOUT}

    names = set(wheel.namelist())

    assert names == program | {"ovh_proxy/py.typed"} | share | about


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = wheel.read(f"{STEM}.dist-info/entry_points.txt").decode()

    assert entry_points == "[console_scripts]\novh-proxy = ovh_proxy.cli.main:main\n"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Name", "ovh-proxy"),
        ("Version", __version__),
        ("Requires-Python", ">=3.11"),
        ("License-Expression", "BSD-3-Clause"),
        ("License-File", "LICENSE"),
        ("Description-Content-Type", "text/markdown"),
    ],
)
def test_the_wheel_has_its_metadata(metadata: Message, field: str, expected: str) -> None:
    assert metadata[field] == expected


def test_the_package_description_is_the_readme(wheel: zipfile.ZipFile) -> None:
    _, _, page = wheel.read(f"{STEM}.dist-info/METADATA").partition(b"\n\n")

    assert page == (ROOT / "README.md").read_bytes()


def test_the_licence_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    licence = wheel.read(f"{STEM}.dist-info/licenses/LICENSE")

    assert licence == (ROOT / "LICENSE").read_bytes()
