"""The API's schema, fetched section by section where it is needed."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import UpstreamBroken, UpstreamFailed, UpstreamTimeout
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.recording.api_schema import (
    Templates,
    read_index,
    read_section,
    schema_base,
    sections_above,
    split_version,
)
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
                try:
                    body = b"".join(await incoming.read_up_to(_MAX_BODY))
                finally:
                    incoming.abandon()
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
