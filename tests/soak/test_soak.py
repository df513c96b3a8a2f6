"""The real command under mixed load while everything around it breaks: nothing lost or doubled."""

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
from soak.ledger import Arrivals, Ledger
from soak.vitals import Vitals, settled
from soak.weather import Weather
from support.command import Running, running, write_store
from support.relay import Relay

from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, runs several workers"),
]

# Of all of `pytest -m soak`, in seconds: two long spells here, and a fifth for the fuzzing.
WHOLE_S = float(os.environ.get("OVH_PROXY_SOAK_S", "600"))
CALLS_PER_S = 150
# Now and then all come at once, which is more than the proxy takes.
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
class Tempo:
    """How long a soak takes, warm-up included, and how fast all goes on in it.

    Attributes:
        wait_s: what the proxy waits for an upstream that has fallen silent.
        keep_s: how long it keeps a connection that nobody uses.
        weather: how much faster the weather changes than in a long spell.
    """

    seconds: float
    per_s: float
    wait_s: float = 3.0
    keep_s: float = 1.0
    weather: float = 1.0


SHORT = Tempo(3.0, 90, wait_s=0.7, keep_s=0.2, weather=2.5)
LONG = Tempo(WHOLE_S * 0.4, CALLS_PER_S)


class Soak:
    """One proxy, its clients, its upstream, and the weather between them.

    Attributes:
        growth: what of the proxy has not come back to where it was after the warm-up.
        exit_code: of the proxy.
    """

    def __init__(
        self, home: Path, sandbox: Sandbox, relay: Relay, command: Running, tempo: Tempo
    ) -> None:
        self.chance = random.Random(home.name)  # the same for each run of a test
        self.home, self.command, self._tempo = home, command, tempo
        self.growth: list[str] = []
        self.exit_code = -1
        self.ledger, self.arrivals = Ledger(), Arrivals()
        sandbox.requests = self.arrivals
        port = int(command.url.rpartition(":")[2])
        self.clients = Clients(port, self.ledger, self.chance)
        store = home / "credentials.yaml"
        self.weather = Weather(sandbox, relay, store, command.pid, self.chance, tempo.weather)
        self._make = calls(self.chance)

    async def load(self, share: float) -> Vitals:
        """Calls for a share of the time, then silence; gives what the proxy holds in it."""
        seconds = self._tempo.seconds * share
        weather = asyncio.create_task(self.weather())
        clock = asyncio.get_running_loop().time
        turn, end = clock(), clock() + seconds
        burst = turn + BURST_EVERY_S
        while turn < end:
            for _ in range(BURST if turn > burst else 1):
                self.clients.begin(self._make())
            burst += BURST_EVERY_S if turn > burst else 0
            turn += 1 / self._tempo.per_s
            await asyncio.sleep(max(0, turn - clock()))
        weather.cancel()
        with suppress(asyncio.CancelledError):
            await weather  # whose own failure is the soak's
        await self.clients.end()
        return await settled(self.command, self._tempo.keep_s)

    def logged(self) -> list[dict[str, Any]]:
        """The proxy's records of requests."""
        lines = (self.home / "log").read_text().splitlines()
        return [one for one in map(json.loads, lines) if "attempts" in one]


async def soak(home: Path, workers: int, tempo: Tempo) -> Soak:
    """A whole soak, warm-up included; its figures are on standard output (`-s`)."""
    async with Sandbox() as sandbox, Relay(sandbox.port) as relay:
        store = write_store(home, sandbox)
        store.write_text(store.read_text().replace(sandbox.url, relay.url))
        store.rename(home / "store.yaml")
        store.symlink_to("store.yaml")
        config = home / "ovh-proxy.yaml"
        config.write_text(
            SETTINGS.format(wait_s=tempo.wait_s, keep_s=tempo.keep_s, workers=workers)
        )
        flags = ("--credentials", store, "--config", config, "--log-format", "json")
        async with running(home, "run", *flags) as command:
            made = Soak(home, sandbox, relay, command, tempo)
            warm = await made.load(0.3)
            done = await made.load(0.7)
            made.growth = done.growth_since(warm)
            made.exit_code = await command.stop()
    seen = made.ledger.kinds + made.weather.seen
    sys.stdout.write(f"{workers} workers: {warm}, then {done}; {dict(seen.most_common())}\n")
    return made


def assert_nothing_lost(made: Soak) -> None:
    """Both ledgers and the log tell of the same calls, and nothing is left; much has happened."""
    assert made.ledger.disagreements(made.arrivals.verdicts, made.logged()) == []
    assert made.arrivals.strangers == []
    assert made.growth == []
    assert made.exit_code == 0
    assert "Traceback" not in (made.home / "log").read_text()
    assert made.ledger.kinds["answered"] > len(made.ledger.made) / 2
    assert made.ledger.kinds["cut"] > 0
    assert {"replaced", "broken", "mended", "rewritten"} <= made.weather.seen.keys()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_short_spell_of_bad_weather_loses_and_doubles_nothing(
    tmp_path: Path, workers: int
) -> None:
    made = await soak(tmp_path, workers, SHORT)

    assert_nothing_lost(made)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_long_spell_of_bad_weather_loses_and_doubles_nothing(
    tmp_path: Path, workers: int
) -> None:
    made = await soak(tmp_path, workers, LONG)

    assert_nothing_lost(made)
    assert made.weather.seen.keys() >= {"reset", "end", "swallow", "delay", "throttle"}
    assert made.ledger.kinds["OVERLOADED"] > 0
