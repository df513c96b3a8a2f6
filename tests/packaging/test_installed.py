"""Tests the wheel, installed outside the checkout."""

import os
import subprocess
from pathlib import Path

import pytest

from ovh_proxy import __version__

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
SHARED = sorted(one.relative_to(CONFIG) for one in (CONFIG / "share").rglob("*") if one.is_file())
LIMIT_S = 60.0


def output_of(*command: str | Path, home: Path) -> str:
    """Runs a program that must succeed outside the checkout, and returns its output."""
    ended = subprocess.run(
        [*map(str, command)],
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "command",
    [("bin/ovh-proxy",), ("bin/python", "-m", "ovh_proxy")],
    ids=["as a command", "as a module"],
)
def test_the_installed_command_prints_its_version(
    installed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    version = output_of(installed / command[0], *command[1:], "--version", home=tmp_path)

    assert version == f"ovh-proxy, version {__version__}\n"


def test_the_installed_program_signs(installed: Path, tmp_path: Path) -> None:
    shown = output_of(installed / "bin/ovh-proxy", "demo", "--once", home=tmp_path)

    assert "signature" in shown


def test_the_installed_package_is_imported(installed: Path, tmp_path: Path) -> None:
    path = output_of(
        installed / "bin/python", "-c", "import ovh_proxy; print(ovh_proxy.__file__)", home=tmp_path
    )

    assert Path(path.strip()).is_relative_to(installed)


@pytest.mark.parametrize("file", SHARED, ids=str)
def test_the_manual_and_the_completions_are_installed(installed: Path, file: Path) -> None:
    assert (installed / file).read_bytes() == (CONFIG / file).read_bytes()
