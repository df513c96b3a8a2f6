"""Records each kind of call that went through, by the API's schema fetched from OVHcloud."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import OvhProxyError, UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.core.target import split_version
from ovh_proxy.logs import Log
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.policy.routing import Route
from ovh_proxy.recording.api_schema import (
    Templates,
    read_index,
    read_section,
    schema_base,
    sections_above,
)
from ovh_proxy.recording.calls import RecordedCall, generalise
from ovh_proxy.recording.recording_file import Recording, append_calls
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse

T = TypeVar("T")
# After a failure, the schema is not requested again for this long.
RETRY_AFTER_S = 60.0
_TIMEOUT_S = 30.0
# The largest section is a tenth of it.
_MAX_BODY = 67_108_864
_ACCEPT = ((b"Accept", b"application/json"),)


class SchemaClient:
    """Fetches the schema's sections, unsigned, and caches them in memory."""

    def __init__(
        self,
        pool: Pool,
        steady: Callable[[], float] = time.monotonic,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._pool, self._steady, self._timeout_s = pool, steady, timeout_s
        self._cache: dict[str, Any] = {}
        self._failed_at: dict[str, float] = {}

    async def find(self, endpoint: Endpoint, path: str) -> Templates | None:
        """The section with a template for a path; None if the API has none.

        Args:
            path: as access rules see it, with the version for v2.

        Raises:
            UpstreamFailed: the schema could not be fetched.
        """
        version, rest = split_version(path)
        base = schema_base(endpoint, version)
        index = await self._get(f"{base}/", read_index)
        for section in sections_above(rest):
            if section in index:
                templates = await self._get(f"{base}{section}.json", read_section)
                if templates.pattern(rest) is not None:
                    return templates
        return None

    async def _get(self, url: str, read: Callable[[bytes], T]) -> T:
        if url not in self._cache:
            failed_at = self._failed_at.get(url)
            if failed_at is not None and self._steady() - failed_at < RETRY_AFTER_S:
                raise UpstreamFailed(
                    f"{url} could not be fetched; the next attempt comes {RETRY_AFTER_S:g} s after"
                )
            try:
                self._cache[url] = await self._fetch(url, read)
            except UpstreamFailed:
                self._failed_at[url] = self._steady()
                raise
        cached: T = self._cache[url]
        return cached

    async def _fetch(self, url: str, read: Callable[[bytes], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                incoming = await self._send(UpstreamRequest("GET", url, _ACCEPT))
                body = await incoming.read_all(_MAX_BODY)
        except TimeoutError:
            raise UpstreamTimeout(f"no response from {url} within {self._timeout_s:g} s") from None
        if incoming.head.status != 200:
            raise UpstreamBroken(f"{url} returned status {incoming.head.status}")
        try:
            return read(body)
        except ValueError as failure:
            raise UpstreamBroken(f"{url} is not an API schema") from failure

    async def _send(self, outgoing: UpstreamRequest) -> UpstreamResponse:
        try:
            return await self._pool.send(outgoing)
        except UpstreamFailed as failure:
            if not failure.on_kept_connection:
                raise
            return await self._pool.send(outgoing)


# With these OVHcloud refuses the caller or the route, so the call did not succeed.
_REFUSED = frozenset({401, 403, 405, 501})
_MAX_SEEN = 4096
_MAX_SEEN_PATH = 512
_MAX_PENDING = 1000
_CLOSE_S = 3.0
_Key = tuple[str, str, str, str, bool]


class Recorder:
    """Generalises each call and writes it to the recording once, in the background."""

    def __init__(
        self, recording: Recording, schemas: SchemaClient, log: Log, close_s: float = _CLOSE_S
    ) -> None:
        self._recording = recording
        self._close_s = close_s
        self._schemas = schemas
        self._log = log
        self._known = set(recording.calls)
        self._unwritten: list[RecordedCall] = []
        self._seen: set[_Key] = set()
        self._pending: deque[tuple[_Key, Endpoint]] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._warned: set[str] = set()
        self._worker = asyncio.ensure_future(self._run())

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None:
        """Records a call that was answered; never waits, never raises.

        Args:
            refusal: the code by which OVHcloud refuses the credential, or None.
        """
        profile = route.profile
        key = (profile.name, profile.endpoint.name, method, route.path, status == 404)
        if key in self._seen or refusal is not None or status in _REFUSED:
            return
        if len(self._pending) >= _MAX_PENDING:
            return  # the same kind of call will probably come again
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        if len(route.path) <= _MAX_SEEN_PATH:
            self._seen.add(key)
        self._pending.append((key, profile.endpoint))
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Waits until all calls recorded so far are written."""
        await self._idle.wait()

    async def close(self) -> None:
        """Writes the recorded calls; without a schema by then, identifiers go by their shape."""
        try:
            async with asyncio.timeout(self._close_s):
                await self.settled()
        except TimeoutError:
            pass
        self._worker.cancel()
        await asyncio.wait([self._worker])
        for key, _ in self._pending:
            self._take(key, None)
        await self._write()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._pending:
                key, endpoint = self._pending[0]
                self._take(key, await self._templates(endpoint, key[3]))
                self._pending.popleft()
                if not self._pending:
                    await self._write()
            self._wake.clear()
            self._idle.set()

    async def _templates(self, endpoint: Endpoint, path: str) -> Templates | None:
        schema = self._recording.schema
        try:
            if schema is not None:
                return await asyncio.to_thread(schema.find, path)
            return await self._schemas.find(endpoint, path)
        except OvhProxyError as failure:
            self._warn_once(
                "cannot load the API schema; identifiers are recognised by their shape",
                endpoint=endpoint.name,
                error=str(failure),
            )
            return None

    def _take(self, key: _Key, templates: Templates | None) -> None:
        profile, endpoint, method, path, is_missing = key
        if is_missing and templates is None:
            return  # a 404 without a template: the route itself may not exist
        # A rule for GET also grants HEAD; the time is allowed without a rule.
        method = "GET" if method == "HEAD" else method
        pattern = generalise(path, templates)
        if pattern is None or (method, pattern) == ("GET", "/auth/time"):
            return
        call = RecordedCall(profile, endpoint, pattern, method)
        if call in self._known:
            return
        if len(self._known) >= self._recording.max_calls:
            self._warn_once(
                "the recording is full; start a new file, with --schema",
                file=self._recording.path,
            )
            return
        self._known.add(call)
        self._unwritten.append(call)

    async def _write(self) -> None:
        calls, self._unwritten = self._unwritten, []
        if not calls:
            return
        path = self._recording.path
        try:
            await asyncio.to_thread(append_calls, path, calls)
        except (OSError, ValueError) as failure:
            self._unwritten = calls + self._unwritten
            self._warn_once("cannot write the recording", file=path, error=type(failure).__name__)

    def _warn_once(self, message: str, **fields: str) -> None:
        """Logs each message only once, because on a full disk every write fails."""
        if message not in self._warned:
            self._warned.add(message)
            self._log.write("warning", message, **fields)
