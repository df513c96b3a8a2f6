"""What holds for all tests."""

import os


def pytest_xdist_auto_num_workers() -> int:
    """How many processes run them: tests over sockets wait more than they compute."""
    return 2 * (os.cpu_count() or 1)
