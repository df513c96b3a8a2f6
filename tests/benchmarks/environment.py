"""The environment of a contender: that of this process, without real keys or proxies."""

import os
from pathlib import Path

from benchmarks import keys
from benchmarks.bench import Bench


def environment(bench: Bench, flavour: str, **more: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("OVH_") and not key.lower().endswith("_proxy")
    }
    return {
        **kept,
        "BENCH_SECRET": keys.APPLICATION_SECRET,
        "BENCH_CONSUMER_KEY": keys.CONSUMER_KEY,
        "BENCH_APPLICATION_KEY": keys.APPLICATION_KEY,
        "BENCH_ORIGIN": bench.upstream.origin(flavour),
        **more,
    }


def python_path(checkout: Path) -> str:
    """A PYTHONPATH that imports this project from the given checkout."""
    return os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
