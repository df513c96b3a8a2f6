"""What a command prints, read within bounds of time and size."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from ovh_proxy.core.redaction import NAME_HIDDEN, is_plain


def read_output(
    arguments: tuple[str, ...],
    directory: Path,
    environ: Mapping[str, str],
    limit_s: float,
    limit_bytes: int,
) -> str:
    """The standard output of a command that runs without a shell, stdin or stderr.

    Raises:
        ValueError: it cannot be started, fails, is too slow, or prints no text. The message names
            the program, never an argument or its output.
    """
    name = arguments[0]
    process = _start(arguments, directory, environ)
    if process is None:
        shown = shown_program(name, directory)
        raise ValueError(
            f"cannot start {shown}; check that it is installed, on PATH and executable"
        )
    output: list[bytes] = []
    # A thread, because Windows cannot wait for a pipe, and because a process that the command left
    # behind may keep the pipe open for too long.
    reader = threading.Thread(target=_read, args=(process, limit_bytes, output), daemon=True)
    reader.start()
    reader.join(limit_s)
    if not output:
        _kill(process)
        reader.join(1)
        raise ValueError(f"{name} did not finish within {limit_s:g} s; run it by hand to see why")
    return _checked(name, process.returncode, output[0], limit_bytes)


def shown_program(name: str, directory: Path) -> str:
    """The program of a command as messages show it; not a key that was written in its place."""
    is_program = os.path.lexists(directory / name) or shutil.which(name) or is_plain(name)
    return name if is_program else NAME_HIDDEN


def _start(
    arguments: tuple[str, ...], directory: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes] | None:
    with contextlib.suppress(OSError, ValueError):
        return subprocess.Popen(
            arguments,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its own process group, which is killed as a whole
        )
    return None


def _read(process: subprocess.Popen[bytes], limit: int, output: list[bytes]) -> None:
    with process.stdout or io.BytesIO() as stdout:
        raw = stdout.read(limit + 1)
    if len(raw) > limit:
        _kill(process)
    process.wait()
    output.append(raw)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The group may have ended already; macOS reports that as a permission error.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":  # pragma: no cover - no groups there
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _checked(name: str, exit_code: int, raw: bytes, limit: int) -> str:
    if len(raw) > limit:
        raise ValueError(f"{name} printed more than {limit} bytes; let it print only the key")
    if exit_code:
        raise ValueError(f"{name} failed with exit code {exit_code}; run it by hand to see why")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    raise ValueError(f"{name} printed bytes that are not UTF-8 text; let it print only the key")
