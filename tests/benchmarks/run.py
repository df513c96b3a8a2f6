"""Compares the speed of ovh-proxy with other proxies; see `tests/benchmarks/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # When run as a script, `benchmarks` is imported from the folder `tests`.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.main import main

    sys.exit(main())
