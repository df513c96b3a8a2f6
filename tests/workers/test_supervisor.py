"""A supervisor and its forks, without a server behind them."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from support.command import environment
from support.forks import BOUND_S, READY, SCRIPT, UNTIL_TOLD, Script

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="workers are not for Windows"),
]


@pytest_asyncio.fixture
async def start(tmp_path: Path):
    """Starts two workers that do as they are told."""
    scripts = []

    async def starting(worker: str, before: str = "") -> Script:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SCRIPT.format(worker=worker, before=before)),
            env=environment(tmp_path),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        scripts.append(Script(process))
        return scripts[-1]

    yield starting
    for script in scripts:
        if script.process.returncode is None:
            script.process.kill()
        # The workers see it, and end as well.
        await script.end()


async def test_it_says_so_once_when_all_accept(start):
    script = await start(READY + UNTIL_TOLD)
    said = await script.lines(3)

    script.process.send_signal(signal.SIGTERM)

    rest, log = await script.end()
    assert said == {"worker 1", "worker 2", "all accept"}
    assert (rest, log) == (["ended True 15 0"], "")


async def test_workers_that_cannot_begin_are_not_begun_again_and_again(start):
    script = await start("sys.exit(3)")

    rest, log = await script.end()

    assert (rest, log) == (["ended False None 3"], "")


async def test_a_system_without_room_for_a_process_is_asked_again(start):
    # Root is held to no such limit.
    no_room = """\
import resource
if os.getuid() == 0:
    os.setuid(65534)
whole = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, whole[1]))
signal.signal(signal.SIGALRM, lambda *_: resource.setrlimit(resource.RLIMIT_NPROC, whole))
signal.setitimer(signal.ITIMER_REAL, 0.2)
"""
    script = await start(READY + UNTIL_TOLD, before=no_room)

    said = await script.lines(3)

    script.process.send_signal(signal.SIGTERM)
    _, log = await script.end()
    assert said == {"worker 1", "worker 2", "all accept"}
    assert '"message": "cannot start a worker", "defect": "BlockingIOError", "again_s": 0.1' in log


async def test_a_worker_that_is_killed_before_it_accepts_is_replaced(start):
    # It has ended before its parent looks: the signal is seen first, then the end of its channel.
    slow_parent = """\
fork = os.fork
def slow_fork():
    pid = fork()
    time.sleep(0.1 if pid else 0)
    return pid
os.fork = slow_fork
"""
    first_dies = """\
if start.number == 1 and not os.path.exists("once"):
    open("once", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    script = await start(first_dies + READY + UNTIL_TOLD, before=slow_parent)

    said = await script.lines(3)

    assert said == {"worker 1", "worker 2", "all accept"}


async def test_a_worker_that_reads_nothing_is_killed_before_it_fills_the_memory(start):
    flood = """\
if start.number == 1:
    for _ in range(40):
        value = {"v": "x" * 200_000}
        start.channel.sendall(encode_message({"type": "publish", "key": "k", "value": value}))
    time.sleep(60)
time.sleep(60)
"""
    script = await start(READY + flood)
    await script.lines(3)
    assert script.process.stderr is not None

    async with asyncio.timeout(BOUND_S):
        line = await script.process.stderr.readline()

    assert b'"ended": "by signal 9"' in line


async def test_nobody_leaves_callers_to_a_worker_that_has_ended(start):
    one_dies = """\
if start.number == 1 and not os.path.exists("once"):
    shares.share(1)
    start.channel.sendall(encode_message({"type": "ready"}))
    time.sleep(0.2)
    open("once", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
if start.number == 2:
    share = shares.share(2)
    share.count = 5
    while not share.is_ahead(0):
        time.sleep(0.001)
    say("behind me is another")
    while share.is_ahead(0):
        time.sleep(0.001)
    say("alone")
"""
    script = await start(one_dies + READY + UNTIL_TOLD)

    said = await script.lines(4)

    assert {"behind me is another", "alone"} <= said


async def test_workers_see_the_end_of_their_supervisor(start):
    script = await start(READY + "start.channel.recv(1000)\nsay('orphan', start.number)")
    await script.lines(3)

    script.process.kill()

    assert await script.lines(2) == {"orphan 1", "orphan 2"}


async def test_no_worker_has_the_channel_of_another(start):
    script = await start(
        READY + "fds = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.islink(f'/proc/self/fd/{n}')]\n"
        "say(sum(fd.startswith('socket') for fd in fds))\n" + UNTIL_TOLD
    )

    said = await script.lines(5)

    assert said == {"worker 1", "worker 2", "all accept", "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
async def test_the_memory_of_workers_is_closed_where_that_of_the_supervisor_is(start):
    script = await start(
        READY + "say('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n" + UNTIL_TOLD,
        before="from ovh_proxy.server.process import deny_debuggers; deny_debuggers()",
    )

    said = await script.lines(5)

    assert "dumpable 0" in said
    assert "dumpable 1" not in said
