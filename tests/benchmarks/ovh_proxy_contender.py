"""The contenders from this project: the real command with all features enabled."""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.environment import environment, python_path
from benchmarks.errors import CannotMeasureError
from benchmarks.ovh_proxy_files import write_files
from benchmarks.processes import START_S, child
from benchmarks.running import Running

CHECKOUT = Path(__file__).parents[2]


def ovh_proxy(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    return run(bench, flavour, CHECKOUT)


def against(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    assert bench.against is not None
    return run(bench, flavour, bench.against)


def two_workers(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    """Two workers on both cores, one of which the load and the upstream also use."""
    cores = (bench.proxy_core, bench.load_core)
    return run(bench, flavour, CHECKOUT, cores, ("--workers", "2"))


def missing_against(bench: Bench) -> str | None:
    return None if bench.against else "give a checkout with --against DIR"


@contextmanager
def run(
    bench: Bench,
    flavour: str,
    checkout: Path,
    cores: tuple[int, ...] | None = None,
    flags: tuple[str, ...] = (),
    under: tuple[str, ...] = (),
) -> Iterator[Running]:
    """Runs this project from a checkout.

    Args:
        cores: None for the core of the contender.
        flags: options of `ovh-proxy run`.
        under: a command that runs the proxy, such as valgrind.
    """
    home = bench.directory("ovh-proxy")
    store, settings = write_files(home, bench.upstream.origin(flavour), bench)
    env = environment(bench, flavour, PYTHONPATH=python_path(checkout), HOME=str(home))
    command = (
        *under,
        *(sys.executable, "-m", "ovh_proxy", "run"),
        *("--config", settings, "--credentials", store, "--log-format", "json"),
        *flags,
    )
    began, log = time.perf_counter(), home / "log"
    where = bench.proxy_core if cores is None else cores
    with child(command, where, home, env, log, subprocess.PIPE) as process:
        url = _announced(process)
        if url is None:
            raise CannotMeasureError(f"ovh-proxy does not listen\n{log.read_text()[-500:]}")
        yield Running(url, process.pid, time.perf_counter() - began, checkout)


def _announced(process: subprocess.Popen[bytes]) -> str | None:
    """The URL in the first line of output, None if it does not appear in time."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_S)[0]:
        return None
    line = process.stdout.readline().decode()
    return next((word for word in line.split() if word.startswith("http://")), None)
