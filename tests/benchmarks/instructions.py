"""How many instructions a request takes, which no neighbour on the machine disturbs."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.ovh_proxy_contender import run
from benchmarks.place import Place
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 16
# callgrind makes a process fifty times as slow: as many requests as a glance takes otherwise.
SECONDS = 3
END_S = 30.0
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives `plain/instructions/kept` and `…/close`, a connection a request, in thousands.

    Those of the kernel do not count; those of the interpreter are nearly all.
    """
    if running.checkout is None:
        return {}
    figures = {}
    for name, headers in (("kept", ()), ("close", ("Connection: close",))):
        figures[f"{flavour}/instructions/{name}"] = _counted(
            place, running.checkout, flavour, headers
        )
    return figures


def _counted(place: Place, checkout: Path, flavour: str, headers: tuple[str, ...]) -> float:
    counts = place.directory("callgrind") / "counts"
    with _counting(place, checkout, flavour, counts) as counted:
        url = counted.origin + TARGET
        wrk(url, place.load_core, CONNECTIONS, 1, *headers)
        _switch("on", counted)
        requests = wrk(url, place.load_core, CONNECTIONS, SECONDS, *headers).requests
        _switch("off", counted)
        _end(counted, counts)
    return total(counts.read_text()) / requests / 1000


def total(counts: str) -> int:
    """All instructions in a file of callgrind's."""
    match = _TOTALS.search(counts)
    if match is None:
        raise CannotMeasureError("callgrind counted nothing")
    return int(match[1])


@contextmanager
def _counting(place: Place, checkout: Path, flavour: str, counts: Path) -> Iterator[Running]:
    if shutil.which("valgrind") is None:
        raise CannotMeasureError("valgrind is missing: apt-get install valgrind")
    under = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet")
    with run(place, flavour, checkout, under=(*under, f"--callgrind-out-file={counts}")) as running:
        yield running


def _switch(state: str, running: Running) -> None:
    command = ["callgrind_control", "-i", state, str(running.pid)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=END_S, check=False)
    if said.returncode != 0:
        raise CannotMeasureError(f"callgrind_control: {said.stderr[-300:]}")


def _end(running: Running, counts: Path) -> None:
    """Lets the process end, which is when it writes down what it counted."""
    assert running.pid is not None, "it was started"
    os.kill(running.pid, signal.SIGTERM)
    until = time.monotonic() + END_S
    while not (counts.exists() and _TOTALS.search(counts.read_text())):
        if time.monotonic() > until:
            raise CannotMeasureError("callgrind wrote nothing down")
        time.sleep(0.1)
