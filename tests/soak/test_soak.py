"""Runs the real command under mixed load and faults: no call may be lost or duplicated."""

import asyncio
import json
import os
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from soak.calls import calls
from soak.clients import Clients
from soak.faults import Faults
from soak.process_stats import ProcessStats, settled
from soak.records import Arrivals, ClientRecords
from support.command import Running, running, write_store
from support.relay import Relay

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, runs several workers"),
]

# The total time of `pytest -m soak` in seconds: two long runs here, and a fifth for the fuzz tests.
WHOLE_S = float(os.environ.get("OVH_PROXY_SOAK_S", "600"))
CALLS_PER_S = 150
# Sometimes many calls are made at once, which is more than the proxy accepts.
BURST, BURST_EVERY_S = 100, 5.0
SETTINGS = """\
listen: ['127.0.0.1:0']
limits: {{memory_body_bytes: 65536, in_flight: 60}}
timeouts: {{connect_s: 2, answer_s: {wait_s}, idle_s: {wait_s}, header_s: 5, body_s: 5}}
retries: {{attempts: 3, on_status: [429]}}
upstream: {{keep_alive_s: {keep_s}}}
workers: {workers}
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """The duration of a soak test, including the warm-up, and its speed.

    Attributes:
        wait_s: the proxy's timeout for a silent upstream.
        keep_s: how long the proxy keeps an idle connection.
        faults: how much faster the faults change than in a long run.
    """

    seconds: float
    per_s: float
    wait_s: float = 3.0
    keep_s: float = 1.0
    faults: float = 1.0


SHORT = Pace(3.0, 90, wait_s=0.7, keep_s=0.2, faults=2.5)
LONG = Pace(WHOLE_S * 0.4, CALLS_PER_S)


class Soak:
    """One proxy, its clients, its upstream, and the faults around them.

    Attributes:
        growth: the resources of the proxy that did not return to their values after the warm-up.
        exit_code: the exit code of the proxy.
    """

    def __init__(
        self, home: Path, sandbox: Sandbox, relay: Relay, command: Running, pace: Pace
    ) -> None:
        self.rng = random.Random(home.name)  # the same for each run of a test
        self.home, self.command, self._pace = home, command, pace
        self.growth: list[str] = []
        self.exit_code = -1
        self.records, self.arrivals = ClientRecords(), Arrivals()
        sandbox.requests = self.arrivals
        port = int(command.url.rpartition(":")[2])
        self.clients = Clients(port, self.records, self.rng)
        store = home / "credentials.yaml"
        self.faults = Faults(sandbox, relay, store, command.pid, self.rng, pace.faults)
        self._make = calls(self.rng)

    async def load(self, share: float) -> ProcessStats:
        """Makes calls for a share of the time, then waits and returns the proxy's stats."""
        seconds = self._pace.seconds * share
        faults = asyncio.create_task(self.faults())
        clock = asyncio.get_running_loop().time
        turn, end = clock(), clock() + seconds
        burst = turn + BURST_EVERY_S
        while turn < end:
            for _ in range(BURST if turn > burst else 1):
                self.clients.begin(self._make())
            burst += BURST_EVERY_S if turn > burst else 0
            turn += 1 / self._pace.per_s
            await asyncio.sleep(max(0, turn - clock()))
        faults.cancel()
        with suppress(asyncio.CancelledError):
            await faults  # a failure there fails the soak test
        await self.clients.end()
        return await settled(self.command, self._pace.keep_s)

    def logged(self) -> list[dict[str, Any]]:
        """The request records of the proxy's log."""
        lines = (self.home / "log").read_text().splitlines()
        return [one for one in map(json.loads, lines) if "attempts" in one]


async def soak(home: Path, workers: int, pace: Pace) -> Soak:
    """Runs a whole soak test, including the warm-up. Prints its figures (visible with `-s`)."""
    async with Sandbox() as sandbox, Relay(sandbox.port) as relay:
        store = write_store(home, sandbox)
        store.write_text(store.read_text().replace(sandbox.url, relay.url))
        store.rename(home / "store.yaml")
        store.symlink_to("store.yaml")
        config = home / "ovh-proxy.yaml"
        config.write_text(SETTINGS.format(wait_s=pace.wait_s, keep_s=pace.keep_s, workers=workers))
        flags = ("--credentials", store, "--config", config, "--log-format", "json")
        async with running(home, "run", *flags) as command:
            made = Soak(home, sandbox, relay, command, pace)
            warm = await made.load(0.3)
            done = await made.load(0.7)
            made.growth = done.growth_since(warm)
            made.exit_code = await command.stop()
    seen = made.records.kinds + made.faults.seen
    sys.stdout.write(f"{workers} workers: {warm}, then {done}; {dict(seen.most_common())}\n")
    return made


def assert_no_call_lost(made: Soak) -> None:
    """Checks that all records agree, no resources leaked, and enough calls and faults happened."""
    assert made.records.disagreements(made.arrivals.verdicts, made.logged()) == []
    assert made.arrivals.unsigned == []
    assert made.growth == []
    assert made.exit_code == 0
    assert "Traceback" not in (made.home / "log").read_text()
    assert made.records.kinds["answered"] > len(made.records.made) / 2
    assert made.records.kinds["cut"] > 0
    assert {"replaced", "broken", "repaired", "rewritten"} <= made.faults.seen.keys()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_short_soak_loses_and_duplicates_no_call(tmp_path: Path, workers: int) -> None:
    made = await soak(tmp_path, workers, SHORT)

    assert_no_call_lost(made)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_long_soak_loses_and_duplicates_no_call(tmp_path: Path, workers: int) -> None:
    made = await soak(tmp_path, workers, LONG)

    assert_no_call_lost(made)
    assert made.faults.seen.keys() >= {"reset", "end", "swallow", "delay", "throttle"}
    assert made.records.kinds["OVERLOADED"] > 0
