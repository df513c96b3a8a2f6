"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# Fixtures that several folders of tests use.
pytest_plugins = ("support.proxy_server", "support.store_files", "support.upstream_pool")

# Hypothesis gives each example a fifth of a second, and a machine under load may stand still for
# longer. Of what is slow or hangs other bounds tell.
settings.register_profile("under load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("under load")


def pytest_xdist_auto_num_workers() -> int:
    """How many processes run them: tests over sockets wait more than they compute."""
    return 2 * (os.cpu_count() or 1)
