"""Where the time goes: the contenders in Python, sampled under load."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.place import Place
from benchmarks.processes import child
from benchmarks.running import Running
from benchmarks.stacks import shares
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

CONNECTIONS = 16
SAMPLES_A_SECOND = 250


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives: `plain/profile/FILE`, parts of the time in which it was running Python."""
    sampler = shutil.which("py-spy") or shutil.which(
        "py-spy", path=str(Path(sys.executable).parent)
    )
    if sampler is None:
        raise CannotMeasureError("py-spy is missing: pip install py-spy")
    url, home = running.origin + TARGET, place.directory("profile")
    wrk(url, place.load_core, CONNECTIONS, 1)
    command = [sampler, "record", "--pid", str(running.pid), "--format", "raw", "--threads"]
    command += ["--output", str(home / "stacks"), "--duration", str(place.seconds)]
    command += ["--rate", str(SAMPLES_A_SECOND)]
    with child(command, place.load_core, home, log=home / "log") as sampling:
        # Ends after the sampler, so that the last sample is one of a busy contender.
        wrk(url, place.load_core, CONNECTIONS, place.seconds + 2)
        try:
            code = sampling.wait(20)
        except subprocess.TimeoutExpired:
            code = None
    if code != 0:
        told = (home / "log").read_text(errors="replace")[-500:]
        raise CannotMeasureError(f"py-spy failed (it may have to run as root)\n{told}")
    found = shares((home / "stacks").read_text())
    return {f"{flavour}/profile/{name}": part for name, part in found.items()}
