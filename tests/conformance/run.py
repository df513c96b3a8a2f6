"""Compares ovh-proxy, nginx and haproxy on hostile input; see `tests/conformance/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # When run as a script, `conformance` is imported from the folder `tests`.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from conformance.main import main

    sys.exit(main())
