"""httpbin in a process of its own, and the same requests to it directly and through a proxy."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.processes import child, free_port, wait_for_port
from conformance.contenders import core
from conformance.httpbin_routes import Ask, Told

INSTALL = "python3 -m venv DIR && DIR/bin/pip install httpbin gunicorn, and --httpbin DIR"
_INSTALL_S, _ANSWER_S = 180.0, 20.0
_APPLICATION = Path(__file__).parent / "httpbin_app.py"


def made(home: Path) -> Path:
    """An environment with httpbin in it, made there.

    Raises:
        CannotMeasureError: it cannot be installed.
    """
    steps = (
        [sys.executable, "-m", "venv", home],
        [home / "bin" / "pip", "install", "--quiet", "httpbin", "gunicorn"],
    )
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, timeout=_INSTALL_S)
        except (OSError, subprocess.SubprocessError) as failure:
            raise CannotMeasureError(f"httpbin cannot be installed here: {INSTALL}") from failure
    return home


@contextmanager
def httpbin(environment: Path, home: Path) -> Iterator[int]:
    """Serves it until the end of the block; gives its port."""
    port, log = free_port(), home / "httpbin.log"
    (home / "httpbin_app.py").write_text(_APPLICATION.read_text())
    command = [environment / "bin" / "python", "-m", "gunicorn", "--threads", "4"]
    options = ["--bind", f"127.0.0.1:{port}", "--keep-alive", "30", "httpbin_app:application"]
    with child([*command, *options], core(0), home, log=log) as process:
        wait_for_port(port, process, log)
        _wait_for_answer(port)
        yield port


def _wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        try:
            if told(port, Ask("/get")).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise CannotMeasureError("httpbin does not answer")


def told(port: int, ask: Ask) -> Told:
    """The answer to one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.putrequest(ask.method, ask.target, skip_accept_encoding=True)
        for name, value in ask.headers:
            connection.putheader(name, value)
        if ask.is_chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif ask.body or ask.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(ask.body)))
        connection.endheaders(ask.body or None, encode_chunked=ask.is_chunked)
        answer = connection.getresponse()
        return Told(answer.status, answer.reason, tuple(answer.getheaders()), answer.read())
    finally:
        connection.close()
