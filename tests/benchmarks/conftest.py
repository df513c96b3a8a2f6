"""Fixtures that run contenders, and the upstream that they call."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.bench import Bench
from benchmarks.recorder import Recorder, recording
from benchmarks.upstream import Upstream, make_certificate


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """An upstream that records the requests it receives."""
    with recording() as recorder:
        yield recorder


@pytest.fixture
def bench(recorder: Recorder, tmp_path: Path) -> Bench:
    """A setup in which contenders call that upstream."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot pin processes to cores")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    make_certificate(tmp_path)
    core = min(os.sched_getaffinity(0))
    upstream = Upstream({"plain": recorder.port}, tmp_path / "cert.pem")
    return Bench(tmp_path, core, core, upstream, 1, (1,))
