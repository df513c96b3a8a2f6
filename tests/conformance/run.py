"""Holds ovh-proxy beside nginx and haproxy on hostile input: `tests/conformance/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: the folder `tests` is where `conformance` is found.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from conformance.main import main

    sys.exit(main())
