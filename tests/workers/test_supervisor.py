"""A supervisor and its forked workers, without a server."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from support.command import environment
from support.forks import BOUND_S, READY, SCRIPT, UNTIL_STOP, Script

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="workers are not for Windows"),
]


@pytest_asyncio.fixture
async def start(tmp_path: Path):
    """Starts a supervisor with two workers that run the given script."""
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
        # The workers notice it and exit.
        await script.end()


async def test_readiness_is_announced_once_when_all_workers_accept(start):
    script = await start(READY + UNTIL_STOP)
    lines = await script.lines(3)

    script.process.send_signal(signal.SIGTERM)

    rest, log = await script.end()
    assert lines == {"worker 1", "worker 2", "all accept"}
    assert (rest, log) == (["ended True 15 0"], "")


async def test_the_supervisor_exits_if_workers_cannot_start(start):
    script = await start("sys.exit(3)")

    rest, log = await script.end()

    assert (rest, log) == (["ended False None 3"], "")


async def test_a_failed_fork_is_retried(start):
    # The limit does not apply to root.
    no_room = """\
import resource
if os.getuid() == 0:
    os.setuid(65534)
whole = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, whole[1]))
signal.signal(signal.SIGALRM, lambda *_: resource.setrlimit(resource.RLIMIT_NPROC, whole))
signal.setitimer(signal.ITIMER_REAL, 0.2)
"""
    script = await start(READY + UNTIL_STOP, before=no_room)

    lines = await script.lines(3)

    script.process.send_signal(signal.SIGTERM)
    _, log = await script.end()
    assert lines == {"worker 1", "worker 2", "all accept"}
    assert '"message": "cannot start a worker", "defect": "BlockingIOError", "again_s": 0.1' in log


async def test_a_worker_that_is_killed_before_it_accepts_is_replaced(start):
    # It ends before its parent polls, which then sees the signal before the closed channel.
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
    script = await start(first_dies + READY + UNTIL_STOP, before=slow_parent)

    lines = await script.lines(3)

    assert lines == {"worker 1", "worker 2", "all accept"}


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


async def test_a_dead_worker_does_not_count_in_load_balancing(start):
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
    say("another worker has fewer")
    while share.is_ahead(0):
        time.sleep(0.001)
    say("alone")
"""
    script = await start(one_dies + READY + UNTIL_STOP)

    lines = await script.lines(4)

    assert {"another worker has fewer", "alone"} <= lines


async def test_workers_notice_the_end_of_their_supervisor(start):
    script = await start(READY + "start.channel.recv(1000)\nsay('orphan', start.number)")
    await script.lines(3)

    script.process.kill()

    assert await script.lines(2) == {"orphan 1", "orphan 2"}


async def test_no_worker_inherits_the_channel_of_another(start):
    script = await start(
        READY + "fds = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.islink(f'/proc/self/fd/{n}')]\n"
        "say(sum(fd.startswith('socket') for fd in fds))\n" + UNTIL_STOP
    )

    lines = await script.lines(5)

    assert lines == {"worker 1", "worker 2", "all accept", "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
async def test_workers_inherit_the_protection_against_debuggers(start):
    script = await start(
        READY + "say('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n" + UNTIL_STOP,
        before="from ovh_proxy.server.process import deny_debuggers; deny_debuggers()",
    )

    lines = await script.lines(5)

    assert "dumpable 0" in lines
    assert "dumpable 1" not in lines
