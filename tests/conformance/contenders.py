"""The compared proxies: similar configurations, started on free ports and stopped afterwards."""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.processes import START_S, child, free_port, wait_for_port
from conformance import texts
from support.proxy_server import APPLICATION_SECRET, CONSUMER_KEY

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Setup:
    """The environment of the contenders.

    Attributes:
        upstream_port: the port of the upstream on loopback.
        seconds: the timeout for a client's head, its body, and the time between requests.
        home: a directory for their files.
        base: the path prefix of OVHcloud's API that ovh-proxy adds.
    """

    upstream_port: int
    seconds: int
    home: Path
    base: str = "/1.0"


Start = Callable[[Setup], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One proxy.

    Attributes:
        start: starts the proxy and yields the port that it listens on.
        program: the required command, None if it is part of this checkout.
        package: the package that contains the command.
    """

    name: str
    start: Start
    program: str | None = None
    package: str = ""

    def missing(self) -> str | None:
        """What to install before it can run, None if nothing is missing."""
        if self.program is None or found(self.program):
            return None
        return f"{self.name} is missing: apt-get install {self.package}"


def found(program: str) -> str | None:
    """The path of a program; also searches directories that are not in a user's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def version(program: str, *options: str) -> str:
    """The first line of its version output."""
    finished = subprocess.run(
        [str(found(program)), *options], capture_output=True, text=True, timeout=10, check=False
    )
    return next(iter((finished.stdout + finished.stderr).strip().splitlines()), "")


def _directory(setup: Setup, name: str) -> Path:
    home = setup.home / f"{name}-{setup.upstream_port}"
    home.mkdir()
    return home


def core(number: int) -> int:
    cores = sorted(os.sched_getaffinity(0))
    return cores[number % len(cores)]


@contextmanager
def ovh_proxy(setup: Setup) -> Iterator[int]:
    home = _directory(setup, "ovh-proxy")
    store, settings = home / "credentials.yaml", home / "ovh-proxy.yaml"
    store.touch(mode=0o600)
    store.write_text(
        texts.STORE.format(
            url=f"http://127.0.0.1:{setup.upstream_port}{setup.base}",
            secret=APPLICATION_SECRET,
            consumer_key=CONSUMER_KEY,
        )
    )
    settings.write_text(texts.SETTINGS.format(seconds=setup.seconds))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OVH_")}
    env = {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "ovh_proxy", "run")
    options = ("--credentials", store, "--config", settings, "--log-format", "json")
    log = home / "log"
    with child((*command, *options), core(1), home, env, log, subprocess.PIPE) as process:
        assert process.stdout is not None
        line = b""
        if select.select([process.stdout], [], [], START_S)[0]:
            line = process.stdout.readline()
        url = next((word for word in line.decode().split() if word.startswith("http://")), None)
        if url is None:
            raise CannotMeasureError(f"ovh-proxy does not listen\n{log.read_text()[-500:]}")
        yield int(url.rpartition(":")[2])
    if "internal error in ovh-proxy" in log.read_text():
        raise CannotMeasureError(f"ovh-proxy logged a defect\n{log.read_text()[-2000:]}")


@contextmanager
def nginx(setup: Setup) -> Iterator[int]:
    home, port = _directory(setup, "nginx"), free_port()
    # When started as root, its workers would switch to a user that cannot enter this directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    file, log = home / "nginx.conf", home / "nginx.log"
    values = {"home": home, "port": port, "upstream": setup.upstream_port}
    file.write_text(user + texts.NGINX.substitute(values, seconds=setup.seconds))
    command = [str(found("nginx")), "-p", home, "-c", file, "-e", log]
    with child(command, core(1), home, log=log) as process:
        wait_for_port(port, process, log)
        yield port


@contextmanager
def haproxy(setup: Setup) -> Iterator[int]:
    home, port = _directory(setup, "haproxy"), free_port()
    file, log = home / "haproxy.cfg", home / "haproxy.log"
    values = {"port": port, "upstream": setup.upstream_port, "seconds": setup.seconds}
    file.write_text(texts.HAPROXY.substitute(values))
    with child([str(found("haproxy")), "-db", "-f", file], core(1), home, log=log) as process:
        wait_for_port(port, process, log)
        yield port


CONTENDERS = (
    Contender("ovh-proxy", ovh_proxy),
    Contender("nginx", nginx, "nginx", "nginx-light"),
    Contender("haproxy", haproxy, "haproxy", "haproxy"),
)
