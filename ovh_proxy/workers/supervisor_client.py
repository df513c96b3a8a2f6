"""A worker's view of the others: shared cache, metrics and rate limits, by the supervisor."""

import asyncio
from collections.abc import Callable, Collection

from ovh_proxy.core.errors import (
    ClockUnknown,
    CredentialRefused,
    Draining,
    InternalError,
    Overloaded,
    OvhProxyError,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.limits.rate import MAX_WAIT_S, too_fast
from ovh_proxy.observability.counters import Snapshot, process_levels, sum_processes
from ovh_proxy.upstream.single_flight import Fetch, Take, Value
from ovh_proxy.workers.channel import SupervisorChannel

# What a worker that is killed has counted since it last told is lost.
_TELL_S = 1.0


class PeerMetricsClient:
    """The other workers, as far as their counts go."""

    def __init__(self, link: SupervisorChannel, tell_s: float = _TELL_S) -> None:
        """
        Args:
            tell_s: between two times that the supervisor is told without being asked.
        """
        self._link = link
        self._tell_s = tell_s

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """The counts of all others in one.

        Raises:
            Overloaded: the supervisor does not answer.
        """
        told = await self._link.ask("ask", snapshot=own())
        others: Snapshot = told["snapshot"]
        process = process_levels()
        # The page is made in this same turn of the loop, so that no count on it can be lost with
        # this process, and go back.
        self._link.send("counted", snapshot={**own(), "process": process})
        return [{**others, "process": sum_processes([others["process"], process])}]

    def tell(self, own: Callable[[], Snapshot]) -> None:
        """Tells the supervisor all that another worker's page shows of this one."""
        self._link.send("counted", snapshot={**own(), "process": process_levels()})

    async def keep_told(self, own: Callable[[], Snapshot]) -> None:
        """Tells the supervisor again and again what this worker has counted."""
        last: Snapshot = {}
        while True:
            await asyncio.sleep(self._tell_s)
            snapshot = own()
            if snapshot != last:
                self._link.send("counted", snapshot=snapshot)
                last = snapshot


class SharedRateLimiter:
    """Waits as long as the supervisor says."""

    def __init__(self, link: SupervisorChannel, patience_s: float = MAX_WAIT_S) -> None:
        self._link = link
        self._patience_s = patience_s

    async def wait(self, whose: str, per_minute: int | None) -> None:
        """Waits for the next place in the minute, whichever worker had the one before.

        Raises:
            Overloaded: there is none within the bound.
        """
        if per_minute is None:
            return
        rate = {"whose": whose, "per_minute": per_minute}
        told = await self._link.ask("place", **rate, patience_s=self._patience_s)
        if told["wait"] is None:
            raise too_fast(whose, per_minute)
        try:
            await asyncio.sleep(told["wait"])
        except asyncio.CancelledError:
            self._link.send("give_back", **rate)
            raise

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Nothing: the supervisor's buckets are few, and empty by themselves."""


_PATIENCE_S = 20.0


_ERRORS: dict[str, type[OvhProxyError]] = {
    error.code: error
    for error in (
        ClockUnknown,
        CredentialRefused,
        Draining,
        Overloaded,
        UpstreamBroken,
        UpstreamTimeout,
        UpstreamTls,
        UpstreamUnreachable,
    )
}


class SharedCacheClient:
    """One worker's part in it; see `Sharing`."""

    def __init__(
        self,
        link: SupervisorChannel,
        known: dict[str, tuple[int, Value]],
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """
        Args:
            known: what has been found out before this worker began, with its versions.
            patience_s: who has waited this long for another worker asks by itself.
        """
        self._patience_s = patience_s
        self._link = link
        self._known = dict(known)
        self._following: dict[str, Take] = {}
        # None tells the waiter that it is to fetch the value itself.
        self._waiting: dict[str, asyncio.Future[Value | None]] = {}
        link.on("told", self._take_told)
        link.on("failed", self._take_failed)
        link.on("yours", self._take_turn)

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        """A value newer than the last one; callers see to it that one at a time asks for a key.

        Raises:
            OvhProxyError: whoever fetched it could not.
        """
        if await self._wait(key) is not None:
            return self._known[key][1]  # it may be a newer one by now
        try:
            found = await fetch()
        except OvhProxyError as failure:
            self._link.send("fail", key=key, code=failure.code, text=str(failure))
            raise
        except BaseException:
            self._link.send("fail", key=key, code="", text="")
            raise
        self._say("found", key, found)
        return found

    def publish(self, key: str, value: Value) -> None:
        self._say("tell", key, value)

    def subscribe(self, key: str, take: Take) -> None:
        self._following[key] = take
        if key in self._known:
            take(self._known[key][1])

    def _say(self, what: str, key: str, value: Value) -> None:
        # Its version comes back, and the value does not.
        self._known[key] = self._known.get(key, (0, value))[0], value
        self._link.send(what, key=key, value=value)

    async def _wait(self, key: str) -> Value | None:
        turn = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._want_newer(key)
        try:
            async with asyncio.timeout(self._patience_s):
                found: Value | None = await turn
                return found
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    def _want_newer(self, key: str) -> None:
        """Asks for what somebody waits for here, newer than what this worker has by now."""
        if key in self._waiting:
            seen, _ = self._known.get(key, (0, None))
            self._link.send("want", key=key, seen=seen)

    def _take_told(self, key: str, version: int, value: Value | None = None) -> None:
        """Some worker has found out; without a value it was this one."""
        seen, ours = self._known.get(key, (0, {}))
        if version <= seen:
            return
        self._known[key] = version, ours if value is None else value
        if value is None:
            self._want_newer(key)
        elif not self._hand_over(key, value) and key in self._following:
            self._following[key](value)

    def _hand_over(self, key: str, value: Value | None) -> bool:
        """Gives it to whoever waits for it, if somebody does."""
        turn = self._waiting.get(key)
        if turn is None or turn.done():
            return False
        turn.set_result(value)
        return True

    def _take_failed(self, key: str, code: str, text: str) -> None:
        turn = self._waiting.get(key)
        if turn is not None and not turn.done():
            error = _ERRORS.get(code, InternalError)
            turn.set_exception(error(text or "another worker could not find out"))

    def _take_turn(self, key: str) -> None:
        if not self._hand_over(key, None):
            # It waits no longer.
            self._link.send("pass", key=key)
