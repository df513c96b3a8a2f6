"""The memory of a contender, summed over all of its processes."""

from contextlib import suppress
from pathlib import Path

from benchmarks.processes import members

MIB = 1 << 20
_RESET_PEAK = "5"


def _kib(path: Path, field: str) -> int:
    """One field of a file in /proc in KiB; 0 if the process has ended."""
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(next(found, "0"))


def resident(session: int) -> float:
    """Resident MiB. Shared memory counts once per process."""
    return sum(_kib(Path(f"/proc/{pid}/status"), "VmRSS") for pid in members(session)) / 1024


def proportional(session: int) -> float | None:
    """MiB, counting shared memory once; None if only root can read it."""
    try:
        kib = [_kib(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in members(session)]
    except PermissionError:
        return None
    return sum(kib) / 1024


def peak(session: int) -> float:
    """The peak resident MiB since `forget_peak`, as the sum of the peaks of the processes."""
    return sum(_kib(Path(f"/proc/{pid}/status"), "VmHWM") for pid in members(session)) / 1024


def forget_peak(session: int) -> float:
    """Resets `peak`, and returns the current resident MiB."""
    for pid in members(session):
        # If this fails, the peak since the start of the process is used, which is not smaller.
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
    return resident(session)
