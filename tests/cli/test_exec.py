import asyncio
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest
from support.command import environment, write_store
from support.ended import Ask
from support.tools import tool

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

# Prints the environment of CMD, and the results of the calls in its arguments.
CMD = """
import json, os, sys, urllib.request, urllib.error
def call(line):
    method, path = line.split()
    head = {"Authorization": "Bearer " + os.environ["OVH_ACCESS_TOKEN"]}
    url = os.environ["OVH_ENDPOINT"].removesuffix("/1.0") + path
    try:
        with urllib.request.urlopen(urllib.request.Request(url, None, head, method=method)) as got:
            return got.status
    except urllib.error.HTTPError as refused:
        return refused.headers.get("X-Ovh-Proxy-Error") or refused.code
print(json.dumps({"env": dict(os.environ), "calls": [call(line) for line in sys.argv[1:]]}))
"""


@pytest.fixture
def flags(home: Path, sandbox: Sandbox) -> tuple[str, ...]:
    """`exec` with a store."""
    return ("exec", "--credentials", str(write_store(home, sandbox)))


def python(script: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", script)


async def test_cmd_needs_no_key(start: Ask, sandbox: Sandbox, flags: tuple[str, ...]) -> None:
    ended = await start(*flags, *python(CMD), "GET /1.0/me")

    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["calls"] == [200]
    assert sandbox.requests[-1].verdict == f"signed by {grants.APPLICATION_KEY}"


async def test_the_environment_points_to_the_proxy_and_has_no_keys(
    start: Ask, home: Path, sandbox: Sandbox, flags: tuple[str, ...]
) -> None:
    store = write_store(home, sandbox)
    store.write_text(store.read_text().replace(grants.CLIENT_SECRET, "{env: MY_SECRET}"))
    keys = {
        "OVH_APPLICATION_KEY": "S3CRET1",
        "OVH_APPLICATION_SECRET": "S3CRET2",
        "OVH_CONSUMER_KEY": "S3CRET3",
        "OVH_CLIENT_ID": "S3CRET4",
        "OVH_CLIENT_SECRET": "S3CRET5",
        "OVH_ACCESS_TOKEN": "S3CRET6",
        "MY_SECRET": "S3CRET7",
        "OVH_ENDPOINT": "ovh-ca",
        "OVH_PROXY_LOG_FORMAT": "json",
    }

    ended = await start(*flags, *python(CMD), OTHER="stays", **keys)

    env = json.loads(ended.out)["env"]
    ours = {name: text for name, text in env.items() if name.startswith(("OVH_", "MY_"))}
    assert "S3CRET" not in ended.out
    assert grants.APPLICATION_SECRET not in ended.out
    assert env["OTHER"] == "stays"
    assert set(ours) == {"OVH_ENDPOINT", "OVH_ACCESS_TOKEN", "OVH_PROXY_URL"}
    assert ours["OVH_PROXY_URL"].startswith("http://127.0.0.1:")
    assert ours["OVH_ENDPOINT"] == ours["OVH_PROXY_URL"] + "/1.0"


async def test_rules_limit_the_calls(start: Ask, sandbox: Sandbox, flags: tuple[str, ...]) -> None:
    rules = ("--rule", "GET /me", "--rule", "read-only /domain")
    calls = ("GET /me", "GET /domain/zone", "GET /me/bill", "DELETE /domain/zone/a")

    ended = await start(*flags, *rules, *python(CMD), *calls)

    assert json.loads(ended.out)["calls"] == [200, 200, "ACCESS_DENIED", "ACCESS_DENIED"]
    targets = [one.target for one in sandbox.requests if not one.target.endswith(b"/auth/time")]
    assert targets == [b"/1.0/me", b"/1.0/domain/zone"]


async def test_with_a_profile_only_that_profile_is_allowed(
    start: Ask, sandbox: Sandbox, flags: tuple[str, ...]
) -> None:
    ended = await start(
        *flags, "--profile", "robot", *python(CMD), "GET /me", "GET /@robot/me", "GET /@personal/me"
    )

    assert json.loads(ended.out)["calls"] == [200, 200, "PROFILE_REFUSED"]
    assert {one.verdict for one in sandbox.requests} <= {"token", "unsigned"}


async def test_another_token_is_rejected(start: Ask, flags: tuple[str, ...]) -> None:
    stranger = CMD.replace('os.environ["OVH_ACCESS_TOKEN"]', '"anything"')

    ended = await start(*flags, *python(stranger), "GET /me", "GET /-/profiles")

    assert json.loads(ended.out)["calls"] == ["CLIENT_TOKEN_REFUSED", "CLIENT_TOKEN_REFUSED"]


async def test_cmd_gets_the_standard_streams(start: Ask, flags: tuple[str, ...]) -> None:
    script = "import sys; t = sys.stdin.read(); print(t, end=''); print(t, end='', file=sys.stderr)"

    ended = await start(*flags, *python(script), stdin=b"typed\n")

    assert (ended.code, ended.out, ended.err) == (0, "typed\n", "typed\n")


async def test_the_log_is_written_on_request(start: Ask, flags: tuple[str, ...]) -> None:
    ended = await start(*flags, "--log-level", "info", *python(CMD), "GET /me")

    assert '"path": "/me"' in ended.err


@pytest.mark.parametrize(
    ("cmd", "code", "message"),
    [
        (("--", "sh", "-c", "exit 7"), 7, ""),
        (("sh", "-c", "exit 8"), 8, ""),
        (("--", "no-such-program"), 127, "ovh-proxy: exec: no-such-program: not found\n"),
        (("--", "/"), 126, "ovh-proxy: exec: /: cannot execute: Permission denied\n"),
    ],
    ids=["exit code", "without --", "not found", "not executable"],
)
async def test_exit_codes_are_those_of_a_shell(
    start: Ask, flags: tuple[str, ...], cmd: tuple[str, ...], code: int, message: str
) -> None:
    ended = await start(*flags, *cmd)

    assert (ended.code, ended.err) == (code, message)


@pytest.mark.parametrize("name", ["KILL", "INT", "TERM", "QUIT", "SEGV", "PIPE", "USR1"])
async def test_the_signal_that_killed_cmd_ends_exec(
    start: Ask, flags: tuple[str, ...], name: str
) -> None:
    # A program that Python starts has its own action for SIGPIPE back.
    ended = await start(*flags, "--", "sh", "-c", f"kill -{name} $$")

    assert (ended.code, ended.err) == (-getattr(signal, f"SIG{name}"), "")


async def test_a_shell_shows_the_signal_that_killed_cmd(home: Path, flags: tuple[str, ...]) -> None:
    command = shlex.join([sys.executable, "-m", "ovh_proxy", *flags, "sh", "-c", "kill -9 $$"])
    process = await asyncio.create_subprocess_shell(
        f"{command}; echo $?",
        cwd=home,
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )

    out, _ = await asyncio.wait_for(process.communicate(), 20)

    assert out == b"137\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing argument"),
        (("--rule", "GET", "true"), "METHOD /path"),
        (("--credentials", "none.yaml", "true"), "does not exist"),
    ],
    ids=["no CMD", "malformed rule", "no store"],
)
async def test_usage_errors_exit_with_2(
    start: Ask, home: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = await start("exec", *arguments)

    assert ended.code == 2
    assert message in ended.err


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"]
)
async def test_signals_are_forwarded_to_cmd(home: Path, flags: tuple[str, ...], name: str) -> None:
    script = (
        f"import signal, sys\nsignal.signal(signal.{name}, lambda *_: sys.exit(42))\n"
        "print('up', flush=True)\nwhile True: signal.pause()\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", *flags, *python(script)),
        cwd=home,
        env=environment(home),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        # Without the terminal of the tests, which would signal CMD itself.
        start_new_session=True,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        await process.stdout.readline()

        process.send_signal(getattr(signal, name))

        assert await process.wait() == 42


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
async def test_debuggers_are_denied_for_the_proxy_but_not_for_cmd(
    start: Ask, flags: tuple[str, ...]
) -> None:
    # The files in /proc of a process that cannot be debugged belong to root. If the tests run as
    # root, that shows nothing, so the flag is read from the kernel, too.
    script = (
        "import ctypes, os\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), os.stat('/proc/self/mem').st_uid)\n"
    )

    ended = await start(*flags, *python(script))

    assert ended.out == f"1 {os.getuid()}\n"


LISTED = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_cmd_gets_the_inherited_descriptors_and_none_of_the_proxy(
    home: Path, flags: tuple[str, ...]
) -> None:
    alone = shlex.join([sys.executable, "-c", LISTED])
    program = shlex.join([sys.executable, "-m", "ovh_proxy", *flags, *python(LISTED)])

    without = await _printed(home, f"{alone} 7</dev/null 9>/dev/null")
    ours = await _printed(home, f"{program} 7</dev/null 9>/dev/null")

    assert ours == without
    assert {0, 1, 2, 7, 9} <= set(json.loads(ours))


async def test_cmd_reads_a_pipe_of_the_shell(home: Path, flags: tuple[str, ...]) -> None:
    program = shlex.join([sys.executable, "-m", "ovh_proxy", *flags, "--", "cat"])

    assert await _printed(home, f"{program} <(echo hi)") == "hi\n"


async def _printed(home: Path, script: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(tool("bash"), "-c", script),
        cwd=home,
        env=environment(home),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return out.decode()
