"""Child processes: pins them to a core, always ends them, and reads their CPU time."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from benchmarks.errors import CannotMeasureError

START_S = 20.0
STOP_S = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")
_STEP_S = 0.0005


@contextmanager
def on_core(*cores: int) -> Iterator[None]:
    """Processes started in the block inherit these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def child(
    command: Sequence[str | Path],
    core: int | tuple[int, ...],
    home: Path,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    stdout: int | IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command until the end of the block.

    Args:
        core: the core or cores to run on.
        log: the file for its standard error, and for its standard output unless `stdout` is given.
    """
    cores = (core,) if isinstance(core, int) else core
    with (log or home / "child.log").open("ab") as file, on_core(*cores):
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=home,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file if stdout is None else stdout,
            stderr=file,
            # Ctrl-C only reaches the benchmark, which then ends its children in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM, then SIGKILL to all processes that it started."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    deadline = time.monotonic() + STOP_S
    # A process takes some time to end after a signal.
    while (running := members(process.pid)) and time.monotonic() < deadline:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_STEP_S)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    """A free port outside the range of outgoing connections."""
    for _ in range(100):
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CannotMeasureError("no free port between 15000 and 32000 on 127.0.0.1")


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until a process accepts connections on the port.

    Raises:
        CannotMeasureError: the process ended, or takes too long. The text has the end of its log.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(_STEP_S)
    text = log.read_text(errors="replace")[-500:]
    raise CannotMeasureError(f"nothing listens on port {port}\n{text}")


def members(session: int) -> list[int]:
    """The process ids of a session: a child and all processes that it started."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if _is_member(entry, session)]


def _is_member(entry: Path, session: int) -> bool:
    if not entry.name.isdigit():
        return False
    fields = _stat(int(entry.name))
    return bool(fields) and int(fields[3]) == session and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (the state) on; empty if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def cpu_seconds(session: int) -> float:
    """User and system time of a child and all processes that it started."""
    found = [_stat(pid) for pid in members(session)]
    return sum(int(fields[11]) + int(fields[12]) for fields in found if fields) / _TICKS
