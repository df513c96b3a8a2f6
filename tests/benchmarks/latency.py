"""How long a call takes at a modest, fixed open rate."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.place import Place
from benchmarks.processes import on_core
from benchmarks.running import Running
from benchmarks.upstream import TARGET

RATE = 500
LOADER = Path(__file__).parent / "open_rate.py"


def measure(place: Place, running: Running, flavour: str) -> dict[str, float]:
    """Gives: `plain/open/p50_ms`, `plain/open/p99_ms`; what a proxy adds is that less direct's."""
    command = [sys.executable, str(LOADER), str(running.port), TARGET, str(RATE)]
    command += [str(place.seconds), ": ".join(TOKEN_HEADER)]
    with on_core(place.load_core):
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=place.seconds + 30, check=False
        )
    if said.returncode != 0:
        raise CannotMeasureError(said.stderr.strip())
    told = json.loads(said.stdout)
    return {f"{flavour}/open/p50_ms": told["50"], f"{flavour}/open/p99_ms": told["99"]}
