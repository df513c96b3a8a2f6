"""Runs httpbin in a separate process, and sends it requests directly or through a proxy."""

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
from conformance.httpbin_routes import Request, Response

INSTALL = "python3 -m venv DIR && DIR/bin/pip install httpbin gunicorn, and --httpbin DIR"
_INSTALL_S, _ANSWER_S = 180.0, 20.0
_APPLICATION = Path(__file__).parent / "httpbin_app.py"


def create_environment(home: Path) -> Path:
    """Creates a virtual environment with httpbin in `home`.

    Raises:
        CannotMeasureError: httpbin cannot be installed.
    """
    steps = (
        [sys.executable, "-m", "venv", home],
        [home / "bin" / "pip", "install", "--quiet", "httpbin", "gunicorn"],
    )
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, timeout=_INSTALL_S)
        except (OSError, subprocess.SubprocessError) as failure:
            raise CannotMeasureError(f"cannot install httpbin: {INSTALL}") from failure
    return home


@contextmanager
def httpbin(environment: Path, home: Path) -> Iterator[int]:
    """Serves httpbin until the end of the block, and yields its port."""
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
            if send(port, Request("/get")).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise CannotMeasureError("httpbin does not answer")


def send(port: int, request: Request) -> Response:
    """Sends one request on a new connection and returns the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.is_chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif request.body or request.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None, encode_chunked=request.is_chunked)
        answer = connection.getresponse()
        return Response(answer.status, answer.reason, tuple(answer.getheaders()), answer.read())
    finally:
        connection.close()
