"""Changes the core line by line and runs its tests; see `tests/mutation/run.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # When run as a script, `mutation` is imported from the folder `tests`.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from mutation.main import main

    sys.exit(main())
