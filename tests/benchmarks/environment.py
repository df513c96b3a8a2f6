"""The environment of a contender: this process's, without anyone's real keys or proxies."""

import os
from pathlib import Path

from benchmarks import keys
from benchmarks.place import Place


def environment(place: Place, flavour: str, **more: str) -> dict[str, str]:
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
        "BENCH_ORIGIN": place.upstream.origin(flavour),
        **more,
    }


def python_path(checkout: Path) -> str:
    """A PYTHONPATH by which this project is that tree of it, whatever is installed."""
    return os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
