"""Builds the wheel and the sdist of this checkout without a network, and installs the wheel."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0


def call(*command: str | Path, cwd: Path) -> str:
    """Runs a program that must succeed, and returns its output, including standard error."""
    ended = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Any]:
    """Builds the wheel and the sdist of a directory: `build(root).wheel`, `.sdist`."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")

    def built(root: Path) -> Any:
        dist = tmp_path_factory.mktemp("dist")
        call(sys.executable, "-m", "hatchling", "build", "-d", dist, cwd=root)
        (wheel,) = dist.glob("*.whl")
        (sdist,) = dist.glob("*.tar.gz")
        return SimpleNamespace(wheel=wheel, sdist=sdist)

    return built


@pytest.fixture(scope="session")
def built(build: Callable[[Path], Any]) -> Any:
    """The wheel and the sdist of this checkout."""
    return build(ROOT)


@pytest.fixture(scope="session")
def installed(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which uses the dependencies of the tests."""
    pytest.importorskip("pip", reason="pip is not installed")
    environment = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    offline = ("--no-deps", "--no-index", "--disable-pip-version-check")
    call(*pip, *offline, built.wheel, cwd=environment)
    # A path after its own packages, so that the checkout of the tests is not imported.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment
