"""Samples the stacks of the Python contenders under load."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.errors import CannotMeasureError
from benchmarks.processes import child
from benchmarks.running import Running
from benchmarks.stacks import shares
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 16
SAMPLES_A_SECOND = 250


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `plain/profile/FILE`: shares of the time spent in Python."""
    sampler = shutil.which("py-spy") or shutil.which(
        "py-spy", path=str(Path(sys.executable).parent)
    )
    if sampler is None:
        raise CannotMeasureError("py-spy is missing: pip install py-spy")
    url, home = running.origin + TARGET, bench.directory("profile")
    wrk(url, bench.load_core, CONNECTIONS, 1)
    command = [sampler, "record", "--pid", str(running.pid), "--format", "raw", "--threads"]
    command += ["--output", str(home / "stacks"), "--duration", str(bench.seconds)]
    command += ["--rate", str(SAMPLES_A_SECOND)]
    with child(command, bench.load_core, home, log=home / "log") as sampling:
        # The load ends after the sampler, so that the contender is busy during the last sample.
        wrk(url, bench.load_core, CONNECTIONS, bench.seconds + 2)
        try:
            code = sampling.wait(20)
        except subprocess.TimeoutExpired:
            code = None
    if code != 0:
        text = (home / "log").read_text(errors="replace")[-500:]
        raise CannotMeasureError(f"py-spy failed (it may have to run as root)\n{text}")
    found = shares((home / "stacks").read_text())
    return {f"{flavour}/profile/{name}": part for name, part in found.items()}
