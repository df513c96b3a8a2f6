"""Protection of a process with keys against debuggers."""

import asyncio
import sys

import pytest


@pytest.mark.asyncio
@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
async def test_a_protected_process_is_not_dumpable():
    # In a separate process, because it cannot be undone.
    script = (
        "import ctypes\n"
        "from ovh_proxy.server.process import deny_debuggers\n"
        "dumpable = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"  # PR_GET_DUMPABLE
        "print(dumpable(), deny_debuggers(), dumpable())\n"
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)

    assert out == b"1 True 0\n"
