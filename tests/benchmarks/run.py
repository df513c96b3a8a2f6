"""Measures ovh-proxy beside its peers: `tests/benchmarks/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: the folder `tests` is where `benchmarks` is found.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.main import main

    sys.exit(main())
