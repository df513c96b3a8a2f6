"""Node.js with npm packages, as `make .venv/node` installs them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.tools import PATH

# Another directory that contains `node_modules`.
GIVEN = "OVH_PROXY_NODE_OVH"
PACKAGES = ("ovh", "@ovhcloud/node-ovh")
# The first versions that read proxy variables (NODE_USE_ENV_PROXY).
OLDEST = ((22, 21), (24, 0))


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js that reads proxy variables, and the directory of its packages."""

    path: str
    packages: Path


def installed() -> Node:
    """Node.js and the packages; skips the test if they are not installed."""
    given = os.environ.get(GIVEN)
    packages = (Path(given) if given else Path(sys.prefix) / "node") / "node_modules"
    if not all((packages / one).is_dir() for one in PACKAGES):
        pytest.skip("node-ovh is not installed: make .venv/node")
    node = shutil.which("node", path=os.pathsep.join((str(packages / ".bin"), PATH)))
    if node is None or not _is_recent(node):
        pytest.skip("node is not installed, or too old to read proxy variables")
    return Node(node, packages)


def _is_recent(node: str) -> bool:
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major, minor, *_ = (int(part) for part in version.strip().removeprefix("v").split("."))
    return (major, minor) >= OLDEST[1] or (major == 22 and (major, minor) >= OLDEST[0])
