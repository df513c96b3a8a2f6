"""What memory a contender takes: all of its processes together."""

from contextlib import suppress
from pathlib import Path

from benchmarks.processes import members

MIB = 1 << 20
_RESET_PEAK = "5"


def _kib(path: Path, field: str) -> int:
    """One line of /proc in KiB; 0 once the process has ended."""
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(next(found, "0"))


def resident(session: int) -> float:
    """Resident MiB; what processes share counts for each of them."""
    return sum(_kib(Path(f"/proc/{pid}/status"), "VmRSS") for pid in members(session)) / 1024


def proportional(session: int) -> float | None:
    """MiB, of which what several processes share counts once; None where only root may know."""
    try:
        kib = [_kib(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in members(session)]
    except PermissionError:
        return None
    return sum(kib) / 1024


def peak(session: int) -> float:
    """The most resident MiB since `forget_peak`: the sum of each process's own peak."""
    return sum(_kib(Path(f"/proc/{pid}/status"), "VmHWM") for pid in members(session)) / 1024


def forget_peak(session: int) -> float:
    """Starts `peak` anew; gives the resident MiB of now."""
    for pid in members(session):
        # Where that is refused the peak since its start counts, which is no smaller.
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
    return resident(session)
