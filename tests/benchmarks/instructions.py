"""Counts the instructions per request, which does not depend on other load on the machine."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.errors import CannotMeasureError
from benchmarks.ovh_proxy_contender import run
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 16
# callgrind slows a process down by a factor of fifty, so a short run has enough requests.
SECONDS = 3
END_S = 30.0
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `plain/instructions/kept` and `…/close` (one connection per request), in thousands.

    Kernel instructions are not counted. Nearly all of the others are the interpreter's.
    """
    if running.checkout is None:
        return {}
    figures = {}
    for name, headers in (("kept", ()), ("close", ("Connection: close",))):
        figures[f"{flavour}/instructions/{name}"] = _counted(
            bench, running.checkout, flavour, headers
        )
    return figures


def _counted(bench: Bench, checkout: Path, flavour: str, headers: tuple[str, ...]) -> float:
    counts = bench.directory("callgrind") / "counts"
    with _counting(bench, checkout, flavour, counts) as counted:
        url = counted.origin + TARGET
        wrk(url, bench.load_core, CONNECTIONS, 1, *headers)
        _switch("on", counted)
        requests = wrk(url, bench.load_core, CONNECTIONS, SECONDS, *headers).requests
        _switch("off", counted)
        _end(counted, counts)
    return total(counts.read_text()) / requests / 1000


def total(counts: str) -> int:
    """The total number of instructions in an output file of callgrind."""
    match = _TOTALS.search(counts)
    if match is None:
        raise CannotMeasureError("callgrind counted no instructions")
    return int(match[1])


@contextmanager
def _counting(bench: Bench, checkout: Path, flavour: str, counts: Path) -> Iterator[Running]:
    if shutil.which("valgrind") is None:
        raise CannotMeasureError("valgrind is missing: apt-get install valgrind")
    under = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet")
    with run(bench, flavour, checkout, under=(*under, f"--callgrind-out-file={counts}")) as running:
        yield running


def _switch(state: str, running: Running) -> None:
    command = ["callgrind_control", "-i", state, str(running.pid)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=END_S, check=False)
    if finished.returncode != 0:
        raise CannotMeasureError(f"callgrind_control: {finished.stderr[-300:]}")


def _end(running: Running, counts: Path) -> None:
    """Ends the process. callgrind writes its counts when the process ends."""
    assert running.pid is not None, "the process was started"
    os.kill(running.pid, signal.SIGTERM)
    until = time.monotonic() + END_S
    while not (counts.exists() and _TOTALS.search(counts.read_text())):
        if time.monotonic() > until:
            raise CannotMeasureError("callgrind did not write its counts")
        time.sleep(0.1)
