"""Measures the response time at a moderate, fixed request rate."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.processes import on_core
from benchmarks.running import Running
from benchmarks.upstream import TARGET

RATE = 500
LOADER = Path(__file__).parent / "open_rate.py"


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Returns `plain/open/p50_ms` and `plain/open/p99_ms`, including the time of `direct`."""
    command = [sys.executable, str(LOADER), str(running.port), TARGET, str(RATE)]
    command += [str(bench.seconds), ": ".join(TOKEN_HEADER)]
    with on_core(bench.load_core):
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=bench.seconds + 30, check=False
        )
    if finished.returncode != 0:
        raise CannotMeasureError(finished.stderr.strip())
    percentiles = json.loads(finished.stdout)
    return {
        f"{flavour}/open/p50_ms": percentiles["50"],
        f"{flavour}/open/p99_ms": percentiles["99"],
    }
