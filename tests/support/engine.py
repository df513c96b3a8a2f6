"""A container engine, the image, and containers on a separate network."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.tools import tool

ROOT = Path(__file__).parents[2]
BUILD_S, LIMIT_S = 900.0, 60.0
PROGRAM = "/opt/ovh-proxy/bin/ovh-proxy"
PYTHON = "/opt/ovh-proxy/bin/python"
# The strictest options of a careful operator.
LOCKED_DOWN = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "128m", "--pids-limit", "128"),
)


@dataclass(frozen=True, slots=True)
class Engine:
    """Docker, or what is called like it.

    Attributes:
        program: its path.
        made: names of containers and volumes to remove.
    """

    program: str
    made: list[tuple[str, str]] = field(default_factory=list)

    def ask(
        self, *arguments: str | Path, given: str = "", limit_s: float = LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *map(str, arguments)],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )

    def send(self, *arguments: str | Path, given: str = "", limit_s: float = LIMIT_S) -> str:
        """Returns its output; fails the test if it fails."""
        said = self.ask(*arguments, given=given, limit_s=limit_s)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout.strip()

    def inspect(self, name: str) -> Any:
        (found,) = json.loads(self.send("inspect", name))
        return found

    def name(self, kind: str) -> str:
        """Returns a new name of something to remove at the end."""
        name = f"ovh-proxy-test-{secrets.token_hex(6)}"
        self.made.append((kind, name))
        return name

    def volume(self, image: str, files: dict[str, str]) -> str:
        """Makes a volume with files; a remote engine could not mount a local directory."""
        name = self.name("volume")
        self.send("volume", "create", name)
        for file, text in files.items():
            self.write(image, name, file, text)
        return name

    def write(self, image: str, volume: str, file: str, text: str) -> None:
        shell = f"cat > /volume/new && mv /volume/new /volume/{file}"
        mounted = ("--volume", f"{volume}:/volume", "--entrypoint", "sh")
        as_root = ("--user", "0", "--network", "none", "--interactive", "--rm")
        self.send("run", *as_root, *mounted, image, "-c", shell, given=text)

    def start(self, image: str, *arguments: str | Path, command: tuple[str, ...] = ()) -> str:
        """Starts a container in the background, and returns its name."""
        name = self.name("container")
        self.send("run", "--detach", "--name", name, *arguments, image, *command)
        return name

    def beside(self, image: str, container: str, code: str) -> str:
        """Runs Python code in a container's network, and returns its output."""
        network = ("--network", f"container:{container}", "--rm")
        return self.send("run", *network, "--entrypoint", PYTHON, image, "-c", code)

    def clean_up(self, keep: int = 0) -> None:
        """Removes everything but the first objects."""
        while len(self.made) > keep:
            kind, name = self.made.pop()
            self.ask(kind, "rm", "--force", name)


@contextmanager
def engine_here() -> Iterator[Engine]:
    """Returns the engine of this machine; skips the test without one."""
    engine = Engine(tool("docker", "podman"))
    if engine.ask("info").returncode:
        pytest.skip(f"{engine.program} finds no engine")
    try:
        yield engine
    finally:
        engine.clean_up()


def build(engine: Engine) -> str:
    """Builds the image, or uses the configured one; returns its name."""
    if named := os.environ.get("OVH_PROXY_TEST_IMAGE"):
        return named
    name = engine.name("image")
    # podman's default image format has no health checks.
    form = ("--format", "docker") if engine.program.endswith("podman") else ()
    labels = ("--build-arg", "VERSION=test", "--build-arg", "REVISION=0123abc")
    network = ("--network", "host")
    engine.say("build", *form, *network, *labels, "--tag", name, ROOT, limit_s=BUILD_S)
    return name


def until(told: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Returns its first true result."""
    deadline = time.monotonic() + limit_s
    while not (answer := told()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return answer
