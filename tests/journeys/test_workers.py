"""Several workers on the same listeners; one of them dies."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from support.command import write_store
from support.workers import children, proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with profiles for the sandbox."""
    return write_store(tmp_path, sandbox)


@pytest.mark.parametrize("kind", ["TCP", "a unix socket", "an abstract socket"])
async def test_every_worker_serves_the_announced_address(
    tmp_path: Path, sandbox: Sandbox, store: Path, kind: str
) -> None:
    address = {
        "TCP": "127.0.0.1:0",
        "a unix socket": f"unix:{tmp_path}/s",
        "an abstract socket": f"unix:@ovh-proxy-{tmp_path}",
    }[kind]

    async with proxy_with_workers(
        tmp_path, store, workers=3, listen=("--listen", address)
    ) as proxy:
        responses = [await caller.ask("/me") for caller in await proxy.call_each()]
        count = len(proxy.pids)

    assert count == 3
    assert [response.status for response in responses] == [200] * 3
    assert [one.target for one in sandbox.requests].count(b"/1.0/me") == 3
    assert not (tmp_path / "s").exists()


async def test_one_worker_is_one_process(tmp_path: Path, store: Path) -> None:
    async with proxy_with_workers(tmp_path, store, workers=1) as proxy:
        response = await (await proxy.call()).ask("/-/healthz")
        others = children(proxy.command.pid)

    assert (response.status, others) == (200, [])


async def test_a_killed_worker_loses_only_its_own_connections_and_is_replaced(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        lost, other = await proxy.call_each()
        slow = "/sandbox/slow?chunks=2&delay=0.5"
        lost.begin(slow)
        other.begin(slow, "Connection: close")
        first = proxy.pids[0]

        successor = await proxy.kill(first)
        cut = await lost.rest()
        whole = await other.answer()
        new = await (await proxy.call_to(successor)).ask("/me")
        (record,) = proxy.logged("a worker ended, starting another")

    assert b"[1" not in cut or b"2]" not in cut
    assert (whole.status, b"2]" in whole.body, new.status) == (200, True, 200)
    assert (record["ended"], record["pid"], record["worker"]) == ("by signal 9", first, 1)


async def test_no_connection_is_refused_while_workers_are_killed(
    tmp_path: Path, store: Path
) -> None:
    refused: list[str] = []
    is_over = False

    async with proxy_with_workers(tmp_path, store) as proxy:

        async def ask_on_new_connections() -> None:
            while not is_over:
                try:
                    caller = await proxy.call()
                    await caller.ask("/me", "Connection: close")
                except ConnectionRefusedError:
                    refused.append("refused")
                except (asyncio.IncompleteReadError, ConnectionError):
                    pass  # its worker was killed
                caller.writer.close()

        clients = [asyncio.ensure_future(ask_on_new_connections()) for _ in range(4)]
        for _ in range(3):
            await proxy.kill(proxy.pids[0])
        is_over = True
        await asyncio.gather(*clients)

    assert refused == []


async def test_a_worker_that_keeps_dying_is_restarted_with_growing_delays(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        await proxy.kill(proxy.pids[1])
        for _ in range(3):
            os.kill(proxy.pids[1], signal.SIGKILL)
            count = len(proxy.logged("a worker ended")) + 1
            await until(lambda: len(proxy.logged("a worker ended")) == count)  # noqa: B023 - awaited here
            await until(lambda: len(proxy.pids) == 2)
        pauses = [record["again_s"] for record in proxy.logged("a worker ended")]
        response = await (await proxy.call()).ask("/me")

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert response.status == 200


async def test_metrics_are_sums_of_all_workers_and_never_go_back(
    tmp_path: Path, store: Path
) -> None:
    name = 'ovh_proxy_requests_total{client="-",code="",method="GET",outcome="relayed"'
    async with proxy_with_workers(tmp_path, store) as proxy:
        one, other = await proxy.call_each()
        for caller in (one, one, one, other, other):
            await caller.ask("/me")
        values = [await _metric(caller, name) for caller in (one, other)]

        await proxy.kill(proxy.pids[0])
        for caller in [other, *await proxy.call_each()]:
            await caller.ask("/me")
            values.append(await _metric(caller, name))
        restarts = await proxy.metric("ovh_proxy_worker_restarts_total")
        workers = await proxy.metric("ovh_proxy_workers")
        connections = await proxy.metric("ovh_proxy_connections")

    assert values == [5, 5, 6, 7, 8]
    assert (restarts, workers) == (1, 2)
    assert connections >= 3


async def _metric(caller, name: str) -> float:
    page = (await caller.ask("/-/metrics")).body.decode()
    return sum(
        float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name)
    )


async def test_the_admin_listener_shows_the_metrics_of_all_workers(
    tmp_path: Path, store: Path
) -> None:
    async with proxy_with_workers(tmp_path, store, "--admin-listen", "127.0.0.1:0") as proxy:
        assert proxy.command.process.stdout is not None
        line = (await proxy.command.process.stdout.readline()).decode()
        for caller in await proxy.call_each():
            await caller.ask("/me")
        proxy.command.line = line
        relayed = await proxy.metric('ovh_proxy_request_duration_seconds_count{profile="personal"}')
        cpu = await proxy.metric("process_cpu_seconds_total")

    assert re.fullmatch(r"ovh-proxy: admin listener on http://127\.0\.0\.1:\d+\n", line)
    assert relayed == 2
    assert cpu > 0
