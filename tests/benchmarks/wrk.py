"""Runs wrk on the load core with a timeout, and parses its output."""

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
# wrk waits this long for a response, and ends up to this much later than requested.
TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of wrk.

    Attributes:
        rate: requests per second.
        requests: the total number of requests.
        p50_ms, p99_ms: response times.
        failed: responses other than 2xx or 3xx, and broken connections.
    """

    rate: float
    requests: int
    p50_ms: float
    p99_ms: float
    failed: int


def parse(text: str) -> Load:
    """Parses the output of wrk with `--latency`.

    Raises:
        CannotMeasureError: the output has another format.
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
        raise CannotMeasureError(f"unexpected output of wrk:\n{text}") from failure


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
    rejected = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    numbers = [*(rejected.groups() if rejected else ()), *(broken.groups() if broken else ())]
    return sum(int(number) for number in numbers)


def wrk(
    url: str,
    core: int,
    connections: int,
    seconds: float,
    *headers: str,
    script: Path | None = None,
) -> Load:
    """Sends load to a URL.

    Args:
        seconds: rounded to whole seconds, at least one, because wrk only supports those.
        headers: additional header lines.
        script: a Lua script that makes the requests.

    Raises:
        CannotMeasureError: wrk is missing or fails, or more than 1 in 1,000 requests failed.
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
        finished = subprocess.run(
            [*command, url],
            capture_output=True,
            text=True,
            timeout=whole + 2 * TIMEOUT_S + 10,
            check=False,
        )
    if finished.returncode != 0:
        raise CannotMeasureError(f"wrk failed: {finished.stderr}{finished.stdout}")
    load = parse(finished.stdout)
    if load.failed > load.requests / 1000:
        raise CannotMeasureError(f"{load.failed} of {load.requests} requests to {url} failed")
    return load
