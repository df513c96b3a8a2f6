"""wrk as load, bounded: started on the load's core, its words read."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.processes import on_core

INSTALL = "wrk is missing: apt-get install wrk"
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
# wrk waits this long for an answer, and ends about as much later than it was told to.
TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk said.

    Attributes:
        rate: requests per second.
        requests: in all.
        p50_ms, p99_ms: time to the answer.
        failed: answers that were no 2xx or 3xx, and connections that broke.
    """

    rate: float
    requests: int
    p50_ms: float
    p99_ms: float
    failed: int


def parse(text: str) -> Load:
    """What wrk printed with `--latency`.

    Raises:
        CannotMeasureError: that is not it.
    """
    try:
        return Load(
            rate=float(_find(r"Requests/sec:\s+([\d.]+)", text)),
            requests=int(_find(r"(\d+) requests in ", text)),
            p50_ms=_milliseconds(_find(r"\s50%\s+(\S+)", text)),
            p99_ms=_milliseconds(_find(r"\s99%\s+(\S+)", text)),
            failed=_failed(text),
        )
    except (ValueError, KeyError) as failure:
        raise CannotMeasureError(f"wrk said something unexpected:\n{text}") from failure


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(pattern)
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]


def _failed(text: str) -> int:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    numbers = [*(refused.groups() if refused else ()), *(broken.groups() if broken else ())]
    return sum(int(number) for number in numbers)


def wrk(
    url: str,
    core: int,
    connections: int,
    seconds: float,
    *headers: str,
    script: Path | None = None,
) -> Load:
    """Loads a URL.

    Args:
        seconds: whole ones, at least one: wrk knows no others.
        headers: further header lines.
        script: in Lua, which makes the requests.

    Raises:
        CannotMeasureError: wrk is missing, fails, or more than a thousandth of its requests did.
    """
    if shutil.which("wrk") is None:
        raise CannotMeasureError(INSTALL)
    whole = max(1, round(seconds))
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--latency"]
    command += ["--duration", f"{whole}s", "--timeout", f"{TIMEOUT_S}s"]
    for line in (": ".join(TOKEN_HEADER), *headers):
        command += ["--header", line]
    if script is not None:
        command += ["--script", str(script)]
    with on_core(core):
        said = subprocess.run(
            [*command, url],
            capture_output=True,
            text=True,
            timeout=whole + 2 * TIMEOUT_S + 10,
            check=False,
        )
    if said.returncode != 0:
        raise CannotMeasureError(f"wrk failed: {said.stderr}{said.stdout}")
    load = parse(said.stdout)
    if load.failed > load.requests / 1000:
        raise CannotMeasureError(f"{load.failed} of {load.requests} requests to {url} failed")
    return load
