"""Runs commands in this process or in a new one, against a sandbox."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.command import environment
from support.ended import Ask, Ended

from ovh_proxy.cli.main import main
from ovh_proxy.sandbox.api import Sandbox

END_S = 30.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without keys; this process uses it, also as its working directory."""
    for name in list(os.environ):
        if name.startswith("OVH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command in a thread of this process; a sandbox in the event loop can respond."""

    async def run(*arguments: str | Path, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = await asyncio.to_thread(_code_of, [*map(str, arguments)])
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def _code_of(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def start(home: Path) -> Ask:
    """Runs a command in a new process until it exits."""

    async def run(*arguments: str | Path, stdin: bytes = b"", **env: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ovh_proxy",
            *map(str, arguments),
            cwd=home,
            env=environment(home, **env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), END_S)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    return run


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """OVHcloud's API on a free port."""
    async with Sandbox() as running:
        yield running
