"""The contender that is this project: the real command, everything on."""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.environment import environment, python_path
from benchmarks.errors import CannotMeasureError
from benchmarks.ovh_proxy_files import write_files
from benchmarks.place import Place
from benchmarks.processes import START_S, child
from benchmarks.running import Running

CHECKOUT = Path(__file__).parents[2]


def ovh_proxy(place: Place, flavour: str) -> AbstractContextManager[Running]:
    return run(place, flavour, CHECKOUT)


def against(place: Place, flavour: str) -> AbstractContextManager[Running]:
    assert place.against is not None
    return run(place, flavour, place.against)


def two_workers(place: Place, flavour: str) -> AbstractContextManager[Running]:
    """On both cores, of which load and upstream have one as well."""
    cores = (place.proxy_core, place.load_core)
    return run(place, flavour, CHECKOUT, cores, ("--workers", "2"))


def missing_against(place: Place) -> str | None:
    return None if place.against else "say which checkout with --against DIR"


@contextmanager
def run(
    place: Place,
    flavour: str,
    checkout: Path,
    cores: tuple[int, ...] | None = None,
    flags: tuple[str, ...] = (),
    under: tuple[str, ...] = (),
) -> Iterator[Running]:
    """This project, as some checkout has it.

    Args:
        cores: None for the contender's own.
        flags: of `ovh-proxy run`; under: a command that runs commands.
    """
    home = place.directory("ovh-proxy")
    store, settings = write_files(home, place.upstream.origin(flavour), place)
    env = environment(place, flavour, PYTHONPATH=python_path(checkout), HOME=str(home))
    command = (
        *under,
        *(sys.executable, "-m", "ovh_proxy", "run"),
        *("--config", settings, "--credentials", store, "--log-format", "json"),
        *flags,
    )
    began, log = time.perf_counter(), home / "log"
    where = place.proxy_core if cores is None else cores
    with child(command, where, home, env, log, subprocess.PIPE) as process:
        url = _announced(process)
        if url is None:
            raise CannotMeasureError(f"ovh-proxy does not listen\n{log.read_text()[-500:]}")
        yield Running(url, process.pid, time.perf_counter() - began, checkout)


def _announced(process: subprocess.Popen[bytes]) -> str | None:
    """The URL in its first line, None where there is none in time."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_S)[0]:
        return None
    line = process.stdout.readline().decode()
    return next((word for word in line.split() if word.startswith("http://")), None)
