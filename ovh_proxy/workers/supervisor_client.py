"""What the workers find out for each other, by way of their supervisor."""

import asyncio

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
from ovh_proxy.upstream.single_flight import Fetch, Take, Value
from ovh_proxy.workers.channel import SupervisorChannel

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
