"""A full disk: large bodies are rejected, and nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.process import command
from support.serving import call

pytestmark = pytest.mark.asyncio

LIMITS = "limits: {memory_body_bytes: 1000}\n"


def on_a_small_disk(folder: Path) -> tuple[str, ...]:
    """Returns a prefix that runs a command with a private disk of 128 KiB at `folder`."""
    unshare = shutil.which("unshare")
    mounts = f"mount -t tmpfs -o size=128k tmpfs '{folder}'"
    if (
        unshare is None
        or subprocess.run([unshare, "-m", "sh", "-c", mounts], check=False).returncode
    ):
        pytest.skip("needs permission to mount a disk")
    return (unshare, "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh")


async def test_with_a_full_disk_large_bodies_are_rejected_and_small_ones_served(tmp_path, upstream):
    folder = tmp_path / "disk"
    folder.mkdir()
    small_disk = on_a_small_disk(folder)
    large, small = call("PUT", body=b"x" * 1_000_000), call("PUT", body=b"x" * 1000)
    fitting = call("PUT", body=b"x" * 100_000)
    seen = []

    async with command(
        tmp_path, upstream, settings=LIMITS, env={"TMPDIR": str(folder)}, under=small_disk
    ) as running:
        # More than once: the space of a rejected body is freed each time.
        for text in (large, small, fitting, large, fitting, small):
            answer = await running.ask(text)
            assert answer is not None
            seen.append((answer.status, answer.code, answer.value("Retry-After")))

    refused, served = (503, "OVERLOADED", "1"), (200, None, None)
    assert seen == [refused, served, served, refused, served, served]
    assert [len(one.body) for one in upstream.calls] == [1000, 100_000, 100_000, 1000]
