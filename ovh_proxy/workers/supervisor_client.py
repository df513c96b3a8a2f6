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

# A killed worker loses what it has counted since its last report.
_REPORT_INTERVAL_S = 1.0


class PeerMetricsClient:
    """The metrics of the other workers."""

    def __init__(
        self, channel: SupervisorChannel, report_interval_s: float = _REPORT_INTERVAL_S
    ) -> None:
        self._channel = channel
        self._report_interval_s = report_interval_s

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """Returns the sum of all other workers as one snapshot.

        Raises:
            Overloaded: the supervisor does not respond.
        """
        reply = await self._channel.request("collect_metrics", snapshot=own())
        others: Snapshot = reply["snapshot"]
        process = process_levels()
        # The page is built in this same iteration of the event loop, so no counter that it shows
        # can be lost with this process and go back.
        self._channel.send("metrics", snapshot={**own(), "process": process})
        return [{**others, "process": sum_processes([others["process"], process])}]

    def report(self, own: Callable[[], Snapshot]) -> None:
        """Sends the supervisor a full snapshot, for the metrics page of another worker."""
        self._channel.send("metrics", snapshot={**own(), "process": process_levels()})

    async def report_changes(self, own: Callable[[], Snapshot]) -> None:
        """Sends the supervisor a snapshot at each interval in which something changed."""
        last: Snapshot = {}
        while True:
            await asyncio.sleep(self._report_interval_s)
            snapshot = own()
            if snapshot != last:
                self._channel.send("metrics", snapshot=snapshot)
                last = snapshot


class SharedRateLimiter:
    """Waits as long as the supervisor's buckets require."""

    def __init__(self, channel: SupervisorChannel, patience_s: float = MAX_WAIT_S) -> None:
        self._channel = channel
        self._patience_s = patience_s

    async def wait(self, whose: str, per_minute: int | None) -> None:
        """Waits until the rate allows another request, across all workers.

        Raises:
            Overloaded: the wait would be too long.
        """
        if per_minute is None:
            return
        rate = {"bucket": whose, "per_minute": per_minute}
        reply = await self._channel.request("acquire", **rate, patience_s=self._patience_s)
        if reply["wait_s"] is None:
            raise too_fast(whose, per_minute)
        try:
            await asyncio.sleep(reply["wait_s"])
        except asyncio.CancelledError:
            self._channel.send("release", **rate)
            raise

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Does nothing: the supervisor has few buckets, and they drain by themselves."""


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
    """A worker's access to the shared cache; see `SharedCache`."""

    def __init__(
        self,
        channel: SupervisorChannel,
        cached: dict[str, tuple[int, Value]],
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """
        Args:
            cached: version and value by key, as of the start of this worker.
            patience_s: how long to wait for another worker's fetch before fetching here.
        """
        self._patience_s = patience_s
        self._channel = channel
        self._cached = dict(cached)
        self._subscribers: dict[str, Take] = {}
        # A result of None means that this worker must fetch the value itself.
        self._waiting: dict[str, asyncio.Future[Value | None]] = {}
        channel.on("value", self._on_value)
        channel.on("failed", self._on_failed)
        channel.on("your_turn", self._on_your_turn)

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        """Returns a value newer than the last one; at most one caller per key at a time.

        Raises:
            OvhProxyError: the fetch failed, here or in another worker.
        """
        if await self._wait(key) is not None:
            return self._cached[key][1]  # may be even newer by now
        try:
            value = await fetch()
        except OvhProxyError as failure:
            self._channel.send("fetch_failed", key=key, code=failure.code, text=str(failure))
            raise
        except BaseException:
            self._channel.send("fetch_failed", key=key, code="", text="")
            raise
        self._send_value("fetched", key, value)
        return value

    def publish(self, key: str, value: Value) -> None:
        self._send_value("publish", key, value)

    def subscribe(self, key: str, take: Take) -> None:
        self._subscribers[key] = take
        if key in self._cached:
            take(self._cached[key][1])

    def _send_value(self, kind: str, key: str, value: Value) -> None:
        # The supervisor sends back the version only.
        self._cached[key] = self._cached.get(key, (0, value))[0], value
        self._channel.send(kind, key=key, value=value)

    async def _wait(self, key: str) -> Value | None:
        turn = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._request_newer(key)
        try:
            async with asyncio.timeout(self._patience_s):
                value: Value | None = await turn
                return value
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    def _request_newer(self, key: str) -> None:
        """Requests a value newer than the cached one, if a caller waits for it."""
        if key in self._waiting:
            seen, _ = self._cached.get(key, (0, None))
            self._channel.send("fetch", key=key, seen=seen)

    def _on_value(self, key: str, version: int, value: Value | None = None) -> None:
        """Handles a new value; without one, this worker has sent it and gets its version."""
        seen, own = self._cached.get(key, (0, {}))
        if version <= seen:
            return
        self._cached[key] = version, own if value is None else value
        if value is None:
            self._request_newer(key)
        elif not self._resolve(key, value) and key in self._subscribers:
            self._subscribers[key](value)

    def _resolve(self, key: str, value: Value | None) -> bool:
        """Hands the value to the waiting caller; returns whether there is one."""
        turn = self._waiting.get(key)
        if turn is None or turn.done():
            return False
        turn.set_result(value)
        return True

    def _on_failed(self, key: str, code: str, text: str) -> None:
        turn = self._waiting.get(key)
        if turn is not None and not turn.done():
            error = _ERRORS.get(code, InternalError)
            turn.set_exception(
                error(text or f"another worker could not fetch the {key.split(maxsplit=1)[0]}")
            )

    def _on_your_turn(self, key: str) -> None:
        if not self._resolve(key, None):
            # The caller no longer waits.
            self._channel.send("decline", key=key)
