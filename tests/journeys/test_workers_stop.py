"""Shutdown with several workers: drained, forced, or without a supervisor."""

import os
import signal
import sys
from pathlib import Path

import pytest
from support.command import write_store
from support.workers import Answered, is_alive, proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]

SLOW = "/sandbox/slow?chunks=3&delay=0.3"
ENDLESS = "/sandbox/slow?chunks=2&delay=60"


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with profiles for the sandbox."""
    return write_store(tmp_path, sandbox)


async def is_refused(proxy) -> bool:
    try:
        caller = await proxy.call()
    except OSError:
        return True
    caller.writer.close()
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("is_for_group", [False, True], ids=["the parent", "all processes"])
async def test_requests_in_flight_in_every_worker_complete_before_the_command_exits(
    tmp_path: Path, store: Path, number: signal.Signals, is_for_group: bool
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        callers = await proxy.call_each()
        for caller in callers:
            caller.begin(SLOW)
            await caller.until(b"[1\n")

        # A terminal and systemd send the signal to every process once.
        for pid in [*proxy.pids, proxy.command.pid] if is_for_group else [proxy.command.pid]:
            os.kill(pid, number)
        rests = [await caller.rest() for caller in callers]
        code = await proxy.command.stop()

    assert code == 0
    assert all(b",3]" in rest for rest in rests)
    assert [record["cut_short"] for record in proxy.logged("stopped")] == [0, 0]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["SIGTERM", "Ctrl-C"],
)
async def test_a_second_signal_aborts_all_requests(
    tmp_path: Path, store: Path, number: signal.Signals, expected: int
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        (one, _) = await proxy.call_each()
        one.begin(ENDLESS)
        await one.until(b"[1\n")
        os.kill(proxy.command.pid, number)
        await until(lambda: len(proxy.logged("stopping")) == 2)

        code = await proxy.command.stop(number)

    assert code == expected


@pytest.mark.parametrize("kind", ["TCP", "a unix socket"])
async def test_listeners_close_at_once_although_a_worker_is_busy(
    tmp_path: Path, store: Path, kind: str
) -> None:
    where = "127.0.0.1:0" if kind == "TCP" else f"unix:{tmp_path}/s"
    async with proxy_with_workers(tmp_path, store, listen=("--listen", where)) as proxy:
        (one, _) = await proxy.call_each()
        one.begin(ENDLESS)
        await one.until(b"[1\n")

        os.kill(proxy.command.pid, signal.SIGTERM)
        await until(lambda: is_refused(proxy))
        await until(lambda: not (tmp_path / "s").exists())

        assert proxy.pids
        assert await proxy.command.stop() == 143


async def test_during_the_drain_delay_all_workers_serve_and_are_not_ready(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(tmp_path, store, "--drain-delay", "30") as proxy:
        os.kill(proxy.command.pid, signal.SIGTERM)
        await until(lambda: len(proxy.logged("stopping")) == 2)

        readiness = [await proxy.ask_at(pid, "/-/readyz") for pid in proxy.pids]
        served = [await proxy.ask_at(pid, "/me") for pid in proxy.pids]
        code = await proxy.command.stop()

    assert [response.status for response in readiness] == [503] * 2
    assert [response.status for response in served] == [200] * 2
    assert code == 0


async def test_a_hanging_worker_is_killed_after_the_deadline(tmp_path: Path, store: Path) -> None:
    (tmp_path / "c.yaml").write_text("timeouts: {drain_s: 0.1}\n")
    async with proxy_with_workers(tmp_path, store, "--config", tmp_path / "c.yaml") as proxy:
        await proxy.call_each()
        os.kill(proxy.pids[0], signal.SIGSTOP)

        code = await proxy.command.stop()

    assert code == 143


async def test_workers_stop_and_free_the_address_if_the_supervisor_is_killed(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(tmp_path, store, "--drain-delay", "30") as proxy:
        one, _ = await proxy.call_each()
        pids = proxy.pids
        one.begin(SLOW, "Connection: close")
        await one.until(b"[1\n")

        os.kill(proxy.command.pid, signal.SIGKILL)
        await until(lambda: is_refused(proxy))
        rest = await one.rest()
        await until(lambda: not any(map(is_alive, pids)))

    assert b",3]" in rest


async def test_a_worker_that_gets_sigterm_completes_its_requests_and_is_replaced(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(
        tmp_path, store, listen=("--listen", f"unix:{tmp_path}/s")
    ) as proxy:
        one, _ = await proxy.call_each()
        one.begin(SLOW, "Connection: close")
        await one.until(b"[1\n")

        os.kill(proxy.pids[0], signal.SIGTERM)
        rest = await one.rest()
        await until(lambda: len(proxy.logged("a worker ended")) == 1)
        await until(lambda: len(proxy.pids) == 2)
        response: Answered = await (await proxy.call()).ask("/me")

    assert b",3]" in rest
    assert response.status == 200
    assert proxy.logged("a worker ended")[0]["ended"] == "with 0"
