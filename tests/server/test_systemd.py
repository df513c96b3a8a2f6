"""Socket activation, and notifications to systemd."""

import asyncio
import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest
from support.command import environment

from ovh_proxy.server.systemd import SystemdNotifier, take_descriptors

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is Linux's")

# Sets descriptor 3 and the process ID, as systemd does between fork and exec.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.execv(sys.executable, [sys.executable, '-m', 'ovh_proxy', *sys.argv[2:]])"
)
STORE = """\
profiles:
  personal:
    endpoint: http://127.0.0.1:9/1.0
    access_token: MadeUpToken
"""
WAIT_S = 20.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, (3,)),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c"}, (3, 4, 5)),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, ()),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, ()),
        ({"LISTEN_PID": "", "LISTEN_FDS": "1"}, ()),
        ({"LISTEN_FDS": "1"}, ()),
        ({"LISTEN_PID": "7"}, ()),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "-1"}, ()),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "two"}, ()),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "²"}, ()),
        ({}, ()),
    ],
    ids=[
        "one",
        "three",
        "none",
        "another's",
        "nobody's",
        "no process",
        "no count",
        "negative",
        "a word",
        "no decimal",
        "nothing",
    ],
)
def test_only_descriptors_for_this_process_are_taken(given, expected):
    environ = {**given, "HOME": "/"}

    taken = take_descriptors(environ, 7)

    assert taken == expected
    assert environ == {"HOME": "/"}


@pytest.fixture(params=["path", "abstract"])
def service_manager(request, tmp_path):
    """A socket that receives notifications, and its name in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@ovh-proxy-{tmp_path}"
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract names are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(WAIT_S)
        yield receiver, name


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("ready", r"READY=1"),
        ("reloading", r"RELOADING=1\nMONOTONIC_USEC=[0-9]+"),
        ("stopping", r"STOPPING=1"),
    ],
)
def test_the_service_manager_is_notified(service_manager, what, expected):
    receiver, name = service_manager
    environ = {"NOTIFY_SOCKET": name}

    getattr(SystemdNotifier(environ), what)()

    assert re.fullmatch(expected, receiver.recv(1000).decode())
    assert environ == {}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's monotonic clock is meant")
def test_a_reload_notification_has_the_monotonic_time(service_manager):
    receiver, name = service_manager
    before = time.clock_gettime(time.CLOCK_MONOTONIC)

    SystemdNotifier({"NOTIFY_SOCKET": name}).reloading()

    sent_at = int(receiver.recv(1000).decode().rpartition("=")[2]) / 1e6
    assert before - 0.001 <= sent_at <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "/nonexistent/notify"},
        {"NOTIFY_SOCKET": "@nobody-listens-there"},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "/" + "x" * 200},
    ],
    ids=["none", "empty", "gone", "nobody", "another kind", "too long"],
)
def test_a_missing_service_manager_is_no_error(environ):
    notifier = SystemdNotifier(environ)

    notifier.ready()
    notifier.reloading()
    notifier.stopping()


def test_a_service_manager_that_reads_nothing_does_not_block(service_manager):
    _, name = service_manager
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name})

    for _ in range(1000):  # more than a socket buffer holds
        notifier.ready()


@pytest.fixture
def store(tmp_path) -> Path:
    """A credential store."""
    file = tmp_path / "credentials.yaml"
    file.write_text(STORE)
    file.chmod(0o600)
    return file


async def start_activated(
    home: Path, inherited: socket.socket, *flags: str | Path, **env: str
) -> asyncio.subprocess.Process:
    """`ovh-proxy run` as systemd starts it for a socket unit."""
    number = inherited.fileno()
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCHER, str(number), "run", *map(str, flags)),
        cwd=home,
        env=environment(home, LISTEN_FDS="1", **env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(number,),
    )


async def health_of(where: object) -> bytes:
    """The response of a proxy at an address or unix socket."""
    reader, writer = await (
        asyncio.open_unix_connection(where)
        if isinstance(where, str)
        else asyncio.open_connection(*where)
    )
    writer.write(b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(WAIT_S):
            return await reader.read()
    finally:
        writer.close()


async def end_of(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    process.terminate()
    async with asyncio.timeout(WAIT_S):
        _, err = await process.communicate()
    return process.returncode, err


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_the_socket_of_a_socket_unit_serves(tmp_path, store, kind):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as inherited:
        inherited.bind(path if kind == "unix" else ("127.0.0.1", 0))
        inherited.listen()
        process = await start_activated(tmp_path, inherited, "--credentials", store)
        where = inherited.getsockname()

        response = await health_of(where)  # the socket queued it before the process listened

        first = await process.stdout.readline()
        ended = await end_of(process)

    assert response.startswith(b"HTTP/1.1 200 OK")
    assert first.startswith(b"ovh-proxy: listening on fd:3 (profile personal, ")
    assert ended[0] == 0, ended[1]
    assert kind == "tcp" or os.path.exists(path)  # systemd's, not ours to remove


@pytest.mark.asyncio
async def test_configured_listeners_ignore_the_socket_unit(tmp_path, store):
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        flags = ("--credentials", store, "--listen", "127.0.0.1:0")
        process = await start_activated(tmp_path, inherited, *flags)

        first = await process.stdout.readline()

        await end_of(process)

    assert first.startswith(b"ovh-proxy: listening on http://127.0.0.1:")


@pytest.mark.asyncio
async def test_an_exposed_socket_unit_is_rejected_without_clients(tmp_path, store):
    with socket.create_server(("0.0.0.0", 0)) as inherited:
        process = await start_activated(tmp_path, inherited, "--credentials", store)

        out, err = await asyncio.wait_for(process.communicate(), WAIT_S)

    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"ovh-proxy: other machines can reach fd:3: set up `clients`")


@pytest.mark.asyncio
async def test_the_service_manager_is_notified_from_start_to_stop(tmp_path, store, service_manager):
    receiver, name = service_manager
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        flags = ("--credentials", store)
        process = await start_activated(tmp_path, inherited, *flags, NOTIFY_SOCKET=name)

        ready = await asyncio.to_thread(receiver.recv, 1000)
        ended = await end_of(process)
        stopping = await asyncio.to_thread(receiver.recv, 1000)

    assert (ready, stopping) == (b"READY=1", b"STOPPING=1")
    assert ended[0] == 0, ended[1]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
    ids=["any process", "this process", "another process", "zero", "a word", "not set"],
)
def test_the_watchdog_is_fed_twice_in_its_timeout(environ, expected):
    notifier = SystemdNotifier(environ)

    assert notifier.watchdog_s == expected
    assert environ == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_running_process_feeds_the_watchdog(service_manager, tmp_path, store, workers):
    receiver, name = service_manager
    flags = ("--credentials", str(store), "--workers", workers)
    watched = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000"}

    with socket.create_server(("127.0.0.1", 0)) as inherited:
        process = await start_activated(tmp_path, inherited, *flags, **watched)

        received = [await asyncio.to_thread(receiver.recv, 1000) for _ in range(8)]
        ended = await end_of(process)

    assert received.count(b"WATCHDOG=1") >= 7
    assert ended[0] == 0, ended[1]
