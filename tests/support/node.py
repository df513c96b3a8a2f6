"""Node with packages of npm's, put into a directory of the tests' own where none is given."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.tools import PATH

# Names a directory with `node_modules`: then nothing is installed.
GIVEN = "OVH_PROXY_NODE_OVH"
PACKAGES = ("ovh", "@ovhcloud/node-ovh")
# From these on Node can take its proxy from the environment (NODE_USE_ENV_PROXY).
OLDEST = ((22, 21), (24, 0))
INSTALL_S = 90.0


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that reads proxy variables, and the directory of the packages that it finds."""

    path: str
    packages: Path


def install(home: Path) -> Node:
    """Node and the packages, as npm has them; skips the test where they cannot be had."""
    if given := os.environ.get(GIVEN):
        return _found(Path(given))
    if (npm := shutil.which("npm", path=PATH)) is None:
        pytest.skip("npm is not installed")
    node = shutil.which("node", path=PATH)
    wanted = PACKAGES if node and _is_recent(node) else (*PACKAGES, "node@24")
    # So that npm takes this directory for its own, whatever is above it.
    (home / "package.json").write_text("{}")
    try:
        ended = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", *wanted],
            cwd=home,
            capture_output=True,
            check=False,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install in {INSTALL_S:.0f} s")
    if ended.returncode:
        pytest.skip("npm cannot install: " + ended.stderr.decode(errors="replace")[-200:])
    return _found(home)


def _found(home: Path) -> Node:
    packages = home / "node_modules"
    node = shutil.which("node", path=os.pathsep.join((str(packages / ".bin"), PATH)))
    if node is None or not _is_recent(node):
        pytest.skip("node is missing, or too old to take a proxy from the environment")
    return Node(node, packages)


def _is_recent(node: str) -> bool:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major, minor, *_ = (int(part) for part in said.strip().removeprefix("v").split("."))
    return (major, minor) >= OLDEST[1] or (major == 22 and (major, minor) >= OLDEST[0])
