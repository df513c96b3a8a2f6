"""Faults during a soak test: in the network, of tokens, of clocks and of the store."""

import asyncio
import os
import random
import signal
from collections import Counter
from itertools import count, cycle
from pathlib import Path

from support.relay import Line, Relay

from ovh_proxy.sandbox.api import Sandbox

# The proxy asks an endpoint for its time at most once a minute.
_CLOCK_STEP_EVERY_S = 75.0
_BROKEN = "profiles: {personal: [endpoint"


class Faults:
    """Causes one fault after the other until it is canceled.

    Attributes:
        seen: the number of faults by kind.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        relay: Relay,
        store: Path,
        pid: int,
        rng: random.Random,
        faster: float = 1.0,
    ) -> None:
        self.seen: Counter[str] = Counter()
        self._sandbox, self._relay = sandbox, relay
        self._store, self._pid = store, pid
        self._rng = rng
        self._faster = faster
        self._good = store.read_text()

    async def __call__(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for one in (self._network, self._tokens, self._clock, self._reloads):
                    group.create_task(one())
        finally:
            self._restore()

    def _restore(self) -> None:
        self._relay.back, self._relay.forth = Line(), Line()
        self._sandbox.grants.token_lifetime = 3599
        self._swap(self._good)

    async def _network(self) -> None:
        while True:
            await asyncio.sleep((1 + self._rng.random()) / self._faster)
            kind = self._rng.choice(("reset", "end", "swallow", "delay", "throttle"))
            back = self._relay.back
            if kind == "delay":
                back.delay_s = 0.1
            elif kind == "throttle":
                back.bytes_per_s = 500_000
            else:
                back.then = kind
                back.limit = self._rng.randint(1, 4000)
            self.seen[kind] += 1
            await asyncio.sleep(0.3)
            back.delay_s, back.bytes_per_s, back.limit = 0.0, float("inf"), None

    async def _tokens(self) -> None:
        grants = self._sandbox.grants
        while True:
            grants.token_lifetime = self._rng.choice((2, 3, 3599))
            await asyncio.sleep(1 / self._faster)
            for token in grants.token_owners:
                grants.access_tokens.pop(token, None)
            self.seen["tokens revoked"] += 1

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_STEP_EVERY_S)
            self._sandbox.clock_offset = 0.0 if self._sandbox.clock_offset else 1000.0
            self.seen["clock step"] += 1

    async def _reloads(self) -> None:
        numbers = count(1)
        for kind in cycle(("replaced", "broken", "repaired", "rewritten", "SIGHUP")):
            await asyncio.sleep(0.7 / self._faster)
            self.seen[kind] += 1
            if kind == "SIGHUP":
                os.kill(self._pid, signal.SIGHUP)
            elif kind == "rewritten":
                self._store.write_text(f"{self._good}# {next(numbers)}\n")
            else:
                self._swap(_BROKEN if kind == "broken" else f"{self._good}# {next(numbers)}\n")

    def _swap(self, text: str) -> None:
        """Points the link to a new file, as Kubernetes does with a mounted secret."""
        home = self._store.parent
        new = home / f"store-{self._rng.getrandbits(40):x}.yaml"
        new.touch(mode=0o600)
        new.write_text(text)
        old = self._store.resolve()
        link = home / "next"
        link.symlink_to(new.name)
        link.replace(self._store)
        old.unlink()
