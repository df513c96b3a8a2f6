"""Programs that some tests need and not every machine has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# The virtual environment first: some of these programs come from PyPI.
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
LIMIT_S = 60.0


def tool(*names: str) -> str:
    """Returns the path of the first of these programs that exists; skips the test without one."""
    for name in names:
        if found := shutil.which(name, path=PATH):
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


def said_by(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a program, and returns its output with standard error."""
    return subprocess.run(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT_S,
        env={**os.environ, **environ},
    )
