"""Records each kind of call that went through, by the API's schema fetched from OVHcloud."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import OvhProxyError, UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.logs import Log
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.policy.routing import Route
from ovh_proxy.recording.api_schema import (
    Templates,
    read_index,
    read_section,
    schema_base,
    sections_above,
    split_version,
)
from ovh_proxy.recording.calls import RecordedCall, generalise
from ovh_proxy.recording.recording_file import Recording, append_calls
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse

T = TypeVar("T")


# An endpoint that does not tell is asked again after this long.
ASK_AGAIN_S = 60.0

_ANSWER_S = 30.0

# The largest section is a tenth of it.
_MAX_BODY = 67_108_864

_ACCEPT = ((b"Accept", b"application/json"),)


class SchemaClient:
    """The sections of every endpoint in use, kept in memory; they need no proof."""

    def __init__(
        self,
        pool: Pool,
        steady: Callable[[], float] = time.monotonic,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._pool, self._steady, self._answer_s = pool, steady, answer_s
        self._known: dict[str, Any] = {}
        self._failed_at: dict[str, float] = {}

    async def find(self, endpoint: Endpoint, path: str) -> Templates | None:
        """The section that has a template for a path; None when the API has none.

        Args:
            path: as access rules are matched against it, with its version for v2.

        Raises:
            UpstreamFailed: the endpoint did not tell.
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
        if url not in self._known:
            failed_at = self._failed_at.get(url)
            if failed_at is not None and self._steady() - failed_at < ASK_AGAIN_S:
                raise UpstreamFailed("the API's schema could not be fetched a moment ago")
            try:
                self._known[url] = await self._fetch(url, read)
            except UpstreamFailed:
                self._failed_at[url] = self._steady()
                raise
        known: T = self._known[url]
        return known

    async def _fetch(self, url: str, read: Callable[[bytes], T]) -> T:
        try:
            async with asyncio.timeout(self._answer_s):
                incoming = await self._send(UpstreamRequest("GET", url, _ACCEPT))
                body = await incoming.read_all(_MAX_BODY)
        except TimeoutError:
            raise UpstreamTimeout("the API's schema did not come in time") from None
        if incoming.head.status != 200:
            raise UpstreamBroken(f"the API's schema was answered with {incoming.head.status}")
        try:
            return read(body)
        except ValueError as failure:
            raise UpstreamBroken("the API's schema was no schema") from failure

    async def _send(self, outgoing: UpstreamRequest) -> UpstreamResponse:
        try:
            return await self._pool.send(outgoing)
        except UpstreamFailed as failure:
            if not failure.on_kept_connection:
                raise
            return await self._pool.send(outgoing)


# Answers by which OVHcloud refuses the caller or the route: nothing went through.
_REFUSED = frozenset({401, 403, 405, 501})

_MAX_SEEN = 4096

_MAX_SEEN_PATH = 512

_MAX_PENDING = 1000

_END_S = 3.0


_Key = tuple[str, str, str, str, bool]


class Recorder:
    """Learns from each call what kind it is, once, and writes that down in the background."""

    def __init__(
        self, recording: Recording, schemas: SchemaClient, log: Log, end_s: float = _END_S
    ) -> None:
        self._recording = recording
        self._end_s = end_s
        self._schemas = schemas
        self._log = log
        self._known = set(recording.calls)
        self._unwritten: list[RecordedCall] = []
        self._seen: set[_Key] = set()
        self._pending: deque[tuple[_Key, Endpoint]] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._complaints: set[str] = set()
        self._worker = asyncio.ensure_future(self._run())

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None:
        """Takes notice of a call that was answered; never waits, never raises.

        Args:
            refusal: the code by which OVHcloud refuses the credential, or None.
        """
        profile = route.profile
        key = (profile.name, profile.endpoint.name, method, route.path, status == 404)
        if key in self._seen or refusal is not None or status in _REFUSED:
            return
        if len(self._pending) >= _MAX_PENDING:
            return  # the same call will come again
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        if len(route.path) <= _MAX_SEEN_PATH:
            self._seen.add(key)
        self._pending.append((key, profile.endpoint))
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Returns once all that was noted so far is dealt with."""
        await self._idle.wait()

    async def close(self) -> None:
        """Writes what is noted; what the schema has not told by then goes by shape."""
        try:
            async with asyncio.timeout(self._end_s):
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
            self._complain(
                "no schema of the API; identifiers are told by their shape",
                endpoint=endpoint.name,
                error=str(failure),
            )
            return None

    def _take(self, key: _Key, templates: Templates | None) -> None:
        profile, endpoint, method, path, is_missing = key
        if is_missing and templates is None:
            return  # a 404 of no template: the route itself may be missing
        # GET grants HEAD, and every profile may ask for the time.
        method = "GET" if method == "HEAD" else method
        pattern = generalise(path, templates)
        if pattern is None or (method, pattern) == ("GET", "/auth/time"):
            return
        call = RecordedCall(profile, endpoint, pattern, method)
        if call in self._known:
            return
        if len(self._known) >= self._recording.max_calls:
            self._complain("the recording is full; use --schema, and a new file")
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
            self._complain(
                "the recording cannot be written", file=path, error=type(failure).__name__
            )

    def _complain(self, message: str, **fields: str) -> None:
        """Once each: a full disk would fill the log as well."""
        if message not in self._complaints:
            self._complaints.add(message)
            self._log.write("warning", message, **fields)
