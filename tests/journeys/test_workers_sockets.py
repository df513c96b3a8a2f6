"""Inherited sockets, certificates and the service manager with several workers."""

import asyncio
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import pytest
from support.certificates import make_pair
from support.command import environment, write_store
from support.workers import children, proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]

# Sets descriptor 3 and the process ID, as systemd does between fork and exec.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.execv(sys.executable, [sys.executable, '-m', 'ovh_proxy', *sys.argv[2:]])"
)
BOUND_S = 20.0


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with profiles for the sandbox."""
    return write_store(tmp_path, sandbox)


async def test_the_supervisor_notifies_the_service_manager_for_all_workers(
    tmp_path: Path, store: Path
) -> None:
    name = str(tmp_path / "notify")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.create_server(("127.0.0.1", 0)) as inherited,
    ):
        manager.bind(name)
        manager.settimeout(BOUND_S)
        number = inherited.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LAUNCHER, str(number), "run", "--workers", "2"),
            *("--credentials", str(store)),
            cwd=tmp_path,
            env=environment(tmp_path, LISTEN_FDS="1", NOTIFY_SOCKET=name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(number,),
        )
        told = [await asyncio.to_thread(manager.recv, 1000)]
        workers = len(children(process.pid))
        health = await _health_of(inherited.getsockname())
        process.send_signal(signal.SIGHUP)
        told += [await asyncio.to_thread(manager.recv, 1000) for _ in range(2)]
        process.terminate()
        told.append(await asyncio.to_thread(manager.recv, 1000))
        out, _ = await asyncio.wait_for(process.communicate(), BOUND_S)
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(1000)

    assert (told[0], told[1][:11], told[2:]) == (
        b"READY=1",
        b"RELOADING=1",
        [b"READY=1", b"STOPPING=1"],
    )
    assert (workers, process.returncode) == (2, 0)
    assert health.startswith(b"HTTP/1.1 200")
    assert out.startswith(b"ovh-proxy: listening on fd:3 ")
    assert out.count(b"\n") == 1


async def _health_of(where: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*where)
    writer.write(b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(BOUND_S):
            return await reader.read()
    finally:
        writer.close()


async def test_a_renewed_certificate_is_shown_by_all_workers_and_replacements(
    tmp_path: Path, store: Path
) -> None:
    used = tmp_path / "tls.pem"
    used.write_bytes(make_pair(tmp_path / "old.pem").path.read_bytes())
    config = tmp_path / "c.yaml"
    config.write_text(f"listen: [{{tcp: '127.0.0.1:0', tls: {{cert: {used}, key: {used}}}}}]\n")

    async with proxy_with_workers(tmp_path, store, "--config", config, listen=()) as proxy:
        port = int(proxy.command.url.rpartition(":")[2])
        before = {await _shown(port, pid, proxy.pids) for pid in proxy.pids}
        make_pair(tmp_path / "new.pem").trusted_in(used)
        await until(lambda: len(proxy.logged("certificate reloaded")) == 2)
        after = {await _shown(port, pid, proxy.pids) for pid in proxy.pids}
        others = set(proxy.pids)
        os.kill(proxy.pids[0], signal.SIGKILL)
        await until(lambda: bool(set(proxy.pids) - others))
        # On its first connection, because files are polled only once a second.
        (successor,) = set(proxy.pids) - others
        later = {await _shown(port, successor, proxy.pids)}

    assert (len(before), len(after)) == (1, 1)
    assert later == after != before


async def _shown(port: int, pid: int, pids: list[int]) -> bytes:
    """Returns the certificate that one worker shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    others = [other for other in pids if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        async with asyncio.timeout(BOUND_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificate


async def test_a_port_in_use_is_an_error_before_any_worker_starts(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "run", "--workers", "2", "--credentials", str(store)),
        *("--listen", f"unix:{tmp_path}/s", "--listen", f"127.0.0.1:{sandbox.port}"),
        env=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    out, err = await asyncio.wait_for(process.communicate(), BOUND_S)

    assert (process.returncode, out, err.count(b"\n")) == (1, b"", 1)
    assert err.startswith(f"ovh-proxy: cannot listen on 127.0.0.1:{sandbox.port}: ".encode())
    assert not (tmp_path / "s").exists()
