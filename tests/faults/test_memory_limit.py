"""A container's memory limit: bodies are rejected before the system kills the process."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.process import command
from support.raw_server import within
from support.scripts import Held
from support.serving import call

pytestmark = pytest.mark.asyncio

LIMIT = 128 * 2**20
# $0 of the shell is the folder of the group.
ENTER = 'echo $$ > "$0/cgroup.procs"'
BODY = b"x" * 1_000_000


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes together have `LIMIT` bytes."""
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root, name = (v1, "memory.limit_in_bytes") if v1.is_dir() else (v2, "memory.max")
    folder = root / f"ovh-proxy-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("needs permission to create a control group")
    try:
        try:
            (folder / name).write_text(str(LIMIT))
        except OSError:
            pytest.skip("cannot set the memory of control groups")
        if subprocess.run(["sh", "-c", ENTER, folder], check=False).returncode:
            pytest.skip("processes cannot enter a control group")
        yield folder
    finally:
        folder.rmdir()


async def test_more_bodies_than_memory_are_rejected_and_the_process_survives(
    tmp_path, upstream, group
):
    upstream.scripts = [held := Held()]
    inside = ("sh", "-c", f'{ENTER} && exec "$@"', str(group))
    async with command(tmp_path, upstream, under=inside) as running:
        asking = [asyncio.ensure_future(running.ask(call("PUT", body=BODY))) for _ in range(150)]
        while sum(one.done() for one in asking) + len(upstream.calls) < 150:
            await asyncio.wait(asking, timeout=0.05)
            assert running.process.returncode is None

        held.go.set()
        answers = await within(asyncio.gather(*asking), 20)

        seen = [None if one is None else (one.status, one.code) for one in answers]
        assert set(seen) == {(200, None), (503, "OVERLOADED")}
        assert {body for one in upstream.calls if (body := one.body) != BODY} == set()
        assert len(upstream.calls) == seen.count((200, None))
        again = await running.ask(call())
        assert again is not None
        assert again.status == 200
