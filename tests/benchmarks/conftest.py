"""A place for contenders, and the upstream that they call there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.place import Place
from benchmarks.recorder import Recorder, recording
from benchmarks.upstream import Upstream, make_certificate


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """An upstream that remembers what it was asked."""
    with recording() as recorder:
        yield recorder


@pytest.fixture
def place(recorder: Recorder, tmp_path: Path) -> Place:
    """Where contenders call that upstream."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("contenders are pinned to cores, which this system cannot")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    make_certificate(tmp_path)
    core = min(os.sched_getaffinity(0))
    upstream = Upstream({"plain": recorder.port}, tmp_path / "cert.pem")
    return Place(tmp_path, core, core, upstream, 1, (1,))
