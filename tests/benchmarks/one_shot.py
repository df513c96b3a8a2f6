"""The one-shot user: a new process for one call, OVHcloud 40 ms away over TLS."""

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.environment import environment
from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.place import Place
from benchmarks.processes import on_core
from benchmarks.running import Running
from benchmarks.upstream import TARGET

CALLS = 5
TOGETHER = 10
# What a proxy does between its start and the first user.
QUIET_S = 1.0
SCRIPT = Path(__file__).parent / "python_ovh_script.py"


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives: `far/one_shot/curl_ms`, `ten_curls_ms`; of a proxy `first_curl_ms`.

    Without a proxy curl signs nothing; there, `python_ovh_ms` and `ten_python_ovh_ms` too.
    """
    curl = _curl(place, running)
    if running.pid is None:
        figures = _both(curl, "curl", "curls", place, flavour)
        if importlib.util.find_spec("ovh") is None:
            raise CannotMeasureError("python-ovh is missing: pip install ovh")
        script = [sys.executable, str(SCRIPT), running.origin + "/1.0"]
        figures |= _both(script, "python_ovh", "python_ovh", place, flavour)
    else:
        time.sleep(QUIET_S)
        figures = {"first_curl_ms": _together(1, curl, place, flavour)}
        figures |= _both(curl, "curl", "curls", place, flavour)
    return {f"{flavour}/one_shot/{name}": value for name, value in figures.items()}


def _curl(place: Place, running: Running) -> list[str]:
    curl = shutil.which("curl")
    if curl is None:
        raise CannotMeasureError("curl is missing: apt-get install curl")
    command = [curl, "--silent", "--show-error", "--fail", "--noproxy", "*"]
    command += ["--cacert", str(place.upstream.ca_file), "--header", ": ".join(TOKEN_HEADER)]
    return [*command, running.origin + TARGET]


def _both(
    command: Sequence[str], one: str, many: str, place: Place, flavour: str
) -> dict[str, float]:
    """One at a time, then ten at once, and once more on connections that are open by now."""
    alone = [_together(1, command, place, flavour) for _ in range(CALLS)]
    first_ten = _together(TOGETHER, command, place, flavour)
    ten = _together(TOGETHER, command, place, flavour)
    return {f"{one}_ms": median(alone), f"first_ten_{many}_ms": first_ten, f"ten_{many}_ms": ten}


def _together(count: int, command: Sequence[str], place: Place, flavour: str) -> float:
    """That many processes at once: milliseconds until the last has ended.

    Raises:
        CannotMeasureError: one failed.
    """
    env = environment(
        place, flavour, REQUESTS_CA_BUNDLE=str(place.upstream.ca_file), HOME=str(place.home)
    )
    with on_core(place.load_core):
        began = time.perf_counter()
        processes = [
            subprocess.Popen(
                command, env=env, cwd=place.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(count)
        ]
        try:
            said = [process.communicate(timeout=30) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    took = (time.perf_counter() - began) * 1000
    for process, (_, error) in zip(processes, said, strict=True):
        if process.returncode != 0:
            told = error.decode(errors="replace")[-500:]
            raise CannotMeasureError(f"{Path(command[0]).name} failed\n{told}")
    return took
