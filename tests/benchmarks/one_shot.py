"""Measures a new process per call, over TLS with a round trip of 40 ms to OVHcloud."""

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.bench import Bench
from benchmarks.environment import environment
from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.processes import on_core
from benchmarks.running import Running
from benchmarks.upstream import TARGET

CALLS = 5
TOGETHER = 10
# The time for a proxy to become idle after startup, before the first call.
QUIET_S = 1.0
SCRIPT = Path(__file__).parent / "python_ovh_script.py"


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `far/one_shot/curl_ms` and `ten_curls_ms`, and `first_curl_ms` for a proxy.

    Without a proxy, curl does not sign. In that case, the result also has `python_ovh_ms` and
    `ten_python_ovh_ms`.
    """
    curl = _curl(bench, running)
    if running.pid is None:
        figures = _both(curl, "curl", "curls", bench, flavour)
        if importlib.util.find_spec("ovh") is None:
            raise CannotMeasureError("python-ovh is missing: pip install ovh")
        script = [sys.executable, str(SCRIPT), running.origin + "/1.0"]
        figures |= _both(script, "python_ovh", "python_ovh", bench, flavour)
    else:
        time.sleep(QUIET_S)
        figures = {"first_curl_ms": _together(1, curl, bench, flavour)}
        figures |= _both(curl, "curl", "curls", bench, flavour)
    return {f"{flavour}/one_shot/{name}": value for name, value in figures.items()}


def _curl(bench: Bench, running: Running) -> list[str]:
    curl = shutil.which("curl")
    if curl is None:
        raise CannotMeasureError("curl is missing: apt-get install curl")
    command = [curl, "--silent", "--show-error", "--fail", "--noproxy", "*"]
    command += ["--cacert", str(bench.upstream.ca_file), "--header", ": ".join(TOKEN_HEADER)]
    return [*command, running.origin + TARGET]


def _both(
    command: Sequence[str], one: str, many: str, bench: Bench, flavour: str
) -> dict[str, float]:
    """One process at a time, then ten in parallel, then ten more on connections that are open."""
    alone = [_together(1, command, bench, flavour) for _ in range(CALLS)]
    first_ten = _together(TOGETHER, command, bench, flavour)
    ten = _together(TOGETHER, command, bench, flavour)
    return {f"{one}_ms": median(alone), f"first_ten_{many}_ms": first_ten, f"ten_{many}_ms": ten}


def _together(count: int, command: Sequence[str], bench: Bench, flavour: str) -> float:
    """Runs `count` processes in parallel. Returns the milliseconds until the last one ended.

    Raises:
        CannotMeasureError: a process failed.
    """
    env = environment(
        bench, flavour, REQUESTS_CA_BUNDLE=str(bench.upstream.ca_file), HOME=str(bench.home)
    )
    with on_core(bench.load_core):
        began = time.perf_counter()
        processes = [
            subprocess.Popen(
                command, env=env, cwd=bench.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(count)
        ]
        try:
            outputs = [process.communicate(timeout=30) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    took = (time.perf_counter() - began) * 1000
    for process, (_, error) in zip(processes, outputs, strict=True):
        if process.returncode != 0:
            text = error.decode(errors="replace")[-500:]
            raise CannotMeasureError(f"{Path(command[0]).name} failed\n{text}")
    return took
