"""Prints the CPU time of the worst heads for each stage of a request, as a table in Markdown."""

import sys
import time
from pathlib import Path

# The largest head and the longest target by default.
HEAD_BYTES, TARGET_BYTES = 65_536, 16_384


def main() -> None:
    """Measures each case several times, and prints the slowest of each stage."""
    from support.adversarial import cases

    worst: dict[str, tuple[float, str]] = {}
    for name, case in cases().items():
        stage, _, head = name.partition(": ")
        is_target = stage in ("target and route", "log", "location", "batch")
        work = case(TARGET_BYTES if is_target else HEAD_BYTES)
        times = []
        for _ in range(7):
            began = time.thread_time()
            work()
            times.append(time.thread_time() - began)
        worst[stage] = max(worst.get(stage, (0.0, "")), (min(times), head))
    print("| stage | worst head found | CPU ms |\n|---|---|---:|")
    for stage, (seconds, head) in worst.items():
        print(f"| {stage} | {head} | {seconds * 1000:.2f} |")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    main()
