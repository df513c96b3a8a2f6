import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.errors import CannotMeasureError
from benchmarks.memory import forget_peak, peak
from benchmarks.processes import child, cpu_seconds, free_port, members, wait_for_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CORE = min(os.sched_getaffinity(0)) if sys.platform == "linux" else 0


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_a_child_only_runs_on_its_core(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    script = "import os; print(*os.sched_getaffinity(0))"

    with child(python(script), CORE, tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        text = process.stdout.read().decode()

    assert text == f"{CORE}\n"
    assert os.sched_getaffinity(0) == before


def test_processes_that_a_child_started_end_with_it(tmp_path: Path) -> None:
    script = "sleep 60 & echo started; sleep 60"

    with child(("sh", "-c", script), CORE, tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        running = members(process.pid)

    assert len(running) >= 2
    assert members(process.pid) == []


def test_the_cpu_time_and_memory_of_a_child_are_measured(tmp_path: Path) -> None:
    script = (
        "import time, sys\n"
        "passing = bytearray(b'x') * (64 << 20)\n"
        "del passing\n"
        "while time.process_time() < 0.2: pass\n"
        "print('idle', flush=True)\n"
        "time.sleep(60)"
    )

    with child(python(script), CORE, tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took, most = cpu_seconds(process.pid), peak(process.pid)
        idle = forget_peak(process.pid)
        later = peak(process.pid)

    assert 0.15 <= took <= 5.0
    assert most >= 64 > idle
    assert later <= most - 32


def test_the_error_for_a_child_that_ends_early_contains_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "import sys; sys.exit('no such option')"

    with (
        child(python(script), CORE, tmp_path, log=log) as process,
        pytest.raises(CannotMeasureError, match="no such option"),
    ):
        wait_for_port(free_port(), process, log)


def test_a_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert listener.getsockname()[1] < 32_768
