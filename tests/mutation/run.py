"""Breaks the core line by line and asks its tests: `tests/mutation/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: the folder `tests` is where `mutation` is found.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from mutation.main import main

    sys.exit(main())
