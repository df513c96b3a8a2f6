"""A request's body: hashed as it comes, in memory, then on disk."""

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ovh_proxy.core.errors import BodyTooLarge, Overloaded, RequestTimeout
from ovh_proxy.core.settings import Limits, Timeouts
from ovh_proxy.limits.concurrency import Permit
from ovh_proxy.ovhcloud.messages import Body
from ovh_proxy.ovhcloud.signature import SignedText
from ovh_proxy.policy.headers import RequestHeaders

# Whoever sends at least so fast is not slow. Precedent: Apache's mod_reqtimeout, MinRate=500.
_MIN_RATE = 500.0


def check_length(length: bytes | None, limits: Limits) -> None:
    """Lets a stated length pass that is within the limit, before any of the body is read.

    Raises:
        BodyTooLarge: it is not.
    """
    if length is not None and int(length) > limits.body_bytes:
        raise _too_large(limits)


def has_no_body(headers: RequestHeaders, payload: StreamReader) -> bool:
    """Whether the client framed no body at all, as with most requests."""
    return payload is EMPTY_PAYLOAD and headers.one(b"content-length") is None


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may take: bytes, seconds, and its share of the memory for all bodies."""

    limits: Limits
    timeouts: Timeouts
    share: Permit


async def read_body(
    payload: StreamReader,
    is_declared: bool,
    body_limits: BodyLimits,
    signed_text: SignedText | None,
) -> Body:
    """The whole body: the signature covers it, so that it has to be here before a byte goes out.

    Raises:
        BodyTooLarge: above `limits.body_bytes`.
        BadRequest: its chunks were malformed.
        RequestTimeout: it came too slowly.
        Overloaded: there is no room for it, in memory or on disk.
    """
    buffer = _BodyBuffer(body_limits, signed_text)
    timeouts = body_limits.timeouts
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(timeouts.body_s) as bound:
            while piece := await payload.readany():
                buffer.add(piece)
                if not payload.is_eof():
                    slowest = began + timeouts.body_s + buffer.size / _MIN_RATE
                    bound.reschedule(min(slowest, loop.time() + timeouts.body_s))
        if (malformed := payload.exception()) is not None:
            raise malformed
        return buffer.body(is_declared)
    except TimeoutError:
        buffer.close()
        raise RequestTimeout("the body came too slowly") from None
    except BaseException:
        buffer.close()
        raise


class _BodyBuffer:
    def __init__(self, body_limits: BodyLimits, signed_text: SignedText | None) -> None:
        self._limits = body_limits.limits
        self._share = body_limits.share
        self._signed_text = signed_text
        self._chunks: list[bytes] = []
        self._spool: BinaryIO | None = None
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._limits.body_bytes:
            raise _too_large(self._limits)
        if self._signed_text is not None:
            self._signed_text.update(piece)
        if self._spool is None and self.size <= self._limits.memory_body_bytes:
            self._share.take(len(piece), self._limits)
            self._chunks.append(piece)
        else:
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        try:
            if self._spool is None:
                # Without a name from the start, and readable by us alone.
                self._spool = tempfile.TemporaryFile(prefix="ovh-proxy-")  # noqa: SIM115 - the body's
                self._spool.writelines(self._chunks)
                self._chunks = []
                self._share.release()
            self._spool.write(piece)
        except OSError as failure:
            raise Overloaded(
                f"no room for a body above {self._limits.memory_body_bytes} bytes: a writable "
                "temporary directory with space is needed (TMPDIR)"
            ) from failure

    def body(self, is_declared: bool) -> Body:
        if self._spool is not None:
            self._flush(self._spool)
        return Body(tuple(self._chunks), self.size, self._spool, is_declared or self.size > 0)

    def _flush(self, spool: BinaryIO) -> None:
        try:
            spool.flush()
        except OSError as failure:
            raise Overloaded("no room for the body: the temporary directory is full") from failure

    def close(self) -> None:
        self._chunks = []  # not counted any more, while an error that is on its way refers to them
        if self._spool is not None:
            with suppress(OSError):  # a full disk fails what is left to flush once more
                self._spool.close()


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limits.body_bytes} bytes (limits.body_bytes)")
