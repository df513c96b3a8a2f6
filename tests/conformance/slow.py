"""Runs the four modes of slowhttptest while another client sends normal requests."""

import asyncio
import csv
import time
from dataclasses import dataclass
from pathlib import Path

from conformance.contenders import found

PROGRAM, INSTALL = "slowhttptest", "slowhttptest is missing: apt-get install slowhttptest"
CONNECTIONS = 200
SECONDS = 15
# The timeout for a client's head or body; well below the duration of the test.
TIMEOUT_S = 5
_PROBE_EVERY_S, _PROBE_BOUND_S = 0.25, 5.0
LARGE = "/me/large"
MODES = {
    "slow headers": ("-H", "-i", "1", "-x", "24"),
    "slow bodies": ("-B", "-i", "1", "-x", "10", "-s", "8192", "-t", "POST"),
    "ranges": ("-R", "-a", "5", "-b", "500"),
    "slow reads": ("-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "1"),
}


@dataclass(frozen=True, slots=True)
class SlowAttack:
    """The result of one mode.

    Attributes:
        held: the largest number of open connections.
        until_s: when the last of them was closed; None if some were open until the end of the test.
        worst_ms: the slowest response to the other client, None if one did not arrive.
    """

    held: int
    until_s: int | None
    worst_ms: float | None


def read_csv(text: str) -> tuple[int, int | None]:
    """The largest number of connections, and the second by which all were closed."""
    rows = list(csv.DictReader(text.splitlines()))
    standing = [int(row["Connected"]) for row in rows]
    # slowhttptest ends with the last connection, and writes no row for that second.
    until_s = int(rows[-1]["Seconds"]) + 1 if rows else 0
    return max(standing, default=0), until_s if until_s < SECONDS else None


async def attack(port: int, mode: str, home: Path) -> SlowAttack:
    """Runs one mode until it ends."""
    prefix = home / f"{port}-{mode.replace(' ', '-')}"
    target = LARGE if mode == "slow reads" else "/me"
    command = [str(found(PROGRAM)), *MODES[mode], "-g", "-o", str(prefix), "-v", "0"]
    command += ["-c", str(CONNECTIONS), "-r", str(CONNECTIONS // 2), "-l", str(SECONDS), "-p", "3"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("-u", f"http://127.0.0.1:{port}{target}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS * 2 + 10):
            worst = await _probe(port, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return SlowAttack(*read_csv(prefix.with_suffix(".csv").read_text()), worst)


async def _probe(port: int, process: asyncio.subprocess.Process) -> float | None:
    """The slowest response in milliseconds until the process ends."""
    worst, ended = 0.0, asyncio.ensure_future(process.wait())
    while not ended.done():
        began = time.perf_counter()
        if not await _is_answered(port):
            await ended
            return None
        worst = max(worst, (time.perf_counter() - began) * 1000)
        await asyncio.wait((ended,), timeout=_PROBE_EVERY_S)
    return worst


async def _is_answered(port: int) -> bool:
    try:
        async with asyncio.timeout(_PROBE_BOUND_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return (await reader.read()).startswith(b"HTTP/1.1 200 ")
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError):
        return False
