"""Several workers that reload their settings, and one that starts afterwards."""

import os
import signal
import sys
from pathlib import Path

import pytest
from support.command import write_store
from support.workers import Caller, proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]

LATER = """\
  later:
    endpoint: {url}
    access_token: {{command: [cat, token]}}
"""
ACCEPTED, REFUSED = "configuration reloaded", "reload failed, keeping the previous configuration"


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with a profile whose token comes from a command."""
    (tmp_path / "token").write_text("T1")
    return write_store(tmp_path, sandbox, LATER.format(url=sandbox.base_url))


async def tokens(sandbox: Sandbox, *callers: Caller) -> list[str | None]:
    """Returns the token that each worker sends for the profile."""
    for caller in callers:
        await caller.ask("/@later/me")
    sent = [one.header("Authorization") for one in sandbox.requests if one.target == b"/1.0/me"]
    return sent[-len(callers) :]


async def problems(caller: Caller) -> tuple[int, object]:
    response = await caller.ask("/-/readyz")
    return response.status, response.json.get("reload")


async def test_sighup_reaches_every_worker(tmp_path: Path, store: Path, sandbox: Sandbox) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        callers = await proxy.call_each()
        before = await tokens(sandbox, *callers)
        (tmp_path / "token").write_text("T2")
        os.kill(proxy.command.pid, signal.SIGHUP)
        await until(lambda: len(proxy.logged(ACCEPTED)) == 2)

        after = await tokens(sandbox, *callers)

    assert (before, after) == (["Bearer T1"] * 2, ["Bearer T2"] * 2)


async def test_a_worker_that_starts_after_a_reload_uses_the_new_settings(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        # No watched file changes, only the output of the command.
        (tmp_path / "token").write_text("T2")
        os.kill(proxy.command.pid, signal.SIGHUP)
        await until(lambda: len(proxy.logged(ACCEPTED)) == 2)

        successor = await proxy.kill(proxy.pids[0])
        sent = await tokens(sandbox, await proxy.call_to(successor))

    assert sent == ["Bearer T2"]


async def test_a_store_with_problems_is_logged_by_every_worker_and_stops_none(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    good = store.read_text()
    async with proxy_with_workers(tmp_path, store) as proxy:
        callers = await proxy.call_each()
        store.write_text(good + "nonsense: 1\n")
        await until(lambda: len(proxy.logged(REFUSED)) == 2)

        states = [await problems(caller) for caller in callers]
        sent = await tokens(sandbox, *callers)
        # It is forked with the last valid settings.
        successor = await proxy.call_to(await proxy.kill(proxy.pids[0]))
        await until(lambda: len(proxy.logged(REFUSED)) == 3)
        states.append(await problems(successor))
        sent += await tokens(sandbox, successor)
        store.write_text(good)
        await until(lambda: len(proxy.logged("configuration is valid again")) == 2)
        repaired = [await problems(caller) for caller in (callers[1], successor)]

    assert states == [(200, "failed")] * 3
    assert sent == ["Bearer T1"] * 3
    assert repaired == [(200, None)] * 2


async def test_no_worker_starts_with_older_settings_than_the_others(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    good = store.read_text()
    async with proxy_with_workers(tmp_path, store) as proxy:
        _, other = await proxy.call_each()
        (tmp_path / "token").write_text("T2")
        os.kill(proxy.command.pid, signal.SIGHUP)
        await until(lambda: len(proxy.logged(ACCEPTED)) == 2)
        store.write_text(good + "nonsense: 1\n")
        await until(lambda: len(proxy.logged(REFUSED)) == 2)

        os.kill(proxy.pids[0], signal.SIGKILL)
        await until(lambda: bool(proxy.logged("a worker cannot start")))
        during = await tokens(sandbox, other, await proxy.call())
        store.write_text(good)
        await until(lambda: len(proxy.logged("configuration is valid again")) == 1)
        await until(lambda: is_complete(proxy))
        after = await tokens(sandbox, *await proxy.call_each())

    assert during == ["Bearer T2"] * 2
    assert after == ["Bearer T2"] * 2


async def is_complete(proxy) -> bool:
    return await proxy.metric("ovh_proxy_workers") == 2


async def test_the_drain_uses_the_current_settings(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("timeouts: {drain_delay_s: 0}\n")
    where = ("--listen", f"unix:{tmp_path}/s")
    async with proxy_with_workers(tmp_path, store, "--config", config, listen=where) as proxy:
        config.write_text("timeouts: {drain_delay_s: 60}\n")
        await until(lambda: len(proxy.logged(ACCEPTED)) == 2)
        os.kill(proxy.command.pid, signal.SIGTERM)
        await until(lambda: is_stopping(proxy))

        response = await (await proxy.call()).ask("/me")
        code = await proxy.command.stop()

    assert (response.status, code) == (200, 0)


async def is_stopping(proxy) -> bool:
    response = await (await proxy.call()).ask("/-/readyz")
    return bool(response.status == 503)
