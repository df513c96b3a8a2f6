import os
import sys
import time
from pathlib import Path

import pytest

from ovh_proxy.config.secret_command import read_output

ENVIRON = {"PATH": os.environ["PATH"], "WORD": "from the environment"}


def run(*arguments: str, directory: Path = Path("/"), limit_s: float = 10) -> str:
    return read_output(arguments, directory, ENVIRON, limit_s, 1000)


def python(code: str, limit_s: float = 10) -> str:
    return run(sys.executable, "-c", code, limit_s=limit_s)


def test_a_command_runs_without_a_shell_in_the_directory_of_the_store(tmp_path):
    (tmp_path / "tell").write_text('#!/bin/sh\necho "$WORD $1"; pwd\n')
    (tmp_path / "tell").chmod(0o700)

    output = run("./tell", "$HOME; id", directory=tmp_path)

    assert output == f"from the environment $HOME; id\n{tmp_path}\n"


def test_a_command_has_no_input():
    assert python("import sys; print(repr(sys.stdin.read()))") == "''\n"


def test_the_stderr_of_a_command_is_not_shown(capfd):
    output = python("import sys; print('key'); print('S3CRET', file=sys.stderr)")

    assert output == "key\n"
    assert "S3CRET" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('S3CRET'); sys.exit(3)", "failed with exit code 3; run it by hand"),
        ("import os; os.kill(os.getpid(), 9)", "failed with exit code -9"),
        ("print('S3CRET' * 1000)", "printed more than 1000 bytes"),
        ("import itertools\nfor _ in itertools.count(): print('S3CRET')", "printed more than"),
        ("import sys; sys.stdout.buffer.write(b'S3CRET\\xff')", "that are not UTF-8 text"),
    ],
    ids=["failure", "signal", "large", "endless", "binary"],
)
def test_the_problem_of_a_command_names_only_the_program(code, message):
    with pytest.raises(ValueError, match=message) as caught:
        python(code)

    assert str(caught.value).startswith(sys.executable)
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["no-such-program", "/etc/passwd", "a\0b"])
def test_a_command_that_cannot_be_started_is_a_problem(name):
    with pytest.raises(ValueError, match="cannot start") as caught:
        run(name, "S3CRET")

    assert "S3CRET" not in str(caught.value)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_slow_command_is_killed_with_its_child_processes(tmp_path):
    started = time.monotonic()
    code = (
        "import subprocess, time, pathlib\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "time.sleep(60)"
    )

    with pytest.raises(ValueError, match="did not finish within 1 s"):
        python(code, limit_s=1)

    assert time.monotonic() - started < 5
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert not is_alive(pid)


def test_a_background_process_with_the_output_open_is_not_waited_for():
    code = (
        "import subprocess\n"
        "subprocess.Popen(['sleep', '3'], start_new_session=True)\n"
        "print('key', flush=True)"
    )

    with pytest.raises(ValueError, match=r"did not finish within 0\.5 s"):
        python(code, limit_s=0.5)
