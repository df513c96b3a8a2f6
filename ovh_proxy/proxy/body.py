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

# Bytes per second: a client that sends faster is not slow. Precedent: MinRate=500 of Apache's
# mod_reqtimeout.
_MIN_RATE = 500.0


def check_length(length: bytes | None, limits: Limits) -> None:
    """Checks the declared length before any of the body is read.

    Raises:
        BodyTooLarge: it is above `limits.body_bytes`.
    """
    if length is not None and int(length) > limits.body_bytes:
        raise _too_large(limits)


def has_no_body(headers: RequestHeaders, payload: StreamReader) -> bool:
    """Whether the request has no body, as most requests."""
    return payload is EMPTY_PAYLOAD and headers.one(b"content-length") is None


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may use: bytes, seconds, and a part of the memory for all bodies."""

    limits: Limits
    timeouts: Timeouts
    permit: Permit


async def read_body(
    payload: StreamReader,
    is_declared: bool,
    body_limits: BodyLimits,
    signed_text: SignedText | None,
) -> Body:
    """Reads the whole body: the signature covers it, so it must be complete before it is sent.

    Raises:
        BodyTooLarge: it is above `limits.body_bytes`.
        BadRequest: its chunks are malformed.
        RequestTimeout: it arrives too slowly.
        Overloaded: there is no space for it, in memory or on disk.
    """
    buffer = _BodyBuffer(body_limits, signed_text)
    timeouts = body_limits.timeouts
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(timeouts.body_s) as deadline:
            while piece := await payload.readany():
                buffer.add(piece)
                if not payload.is_eof():
                    slowest = began + timeouts.body_s + buffer.size / _MIN_RATE
                    deadline.reschedule(min(slowest, loop.time() + timeouts.body_s))
        if (malformed := payload.exception()) is not None:
            raise malformed
        return buffer.body(is_declared)
    except TimeoutError:
        buffer.close()
        raise RequestTimeout("the request body arrived too slowly (timeouts.body_s)") from None
    except BaseException:
        buffer.close()
        raise


class _BodyBuffer:
    def __init__(self, body_limits: BodyLimits, signed_text: SignedText | None) -> None:
        self._limits = body_limits.limits
        self._permit = body_limits.permit
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
            self._permit.take(len(piece), self._limits)
            self._chunks.append(piece)
        else:
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        try:
            if self._spool is None:
                # It never has a name, and only this process can read it.
                self._spool = tempfile.TemporaryFile(prefix="ovh-proxy-")  # noqa: SIM115 - the body's
                self._spool.writelines(self._chunks)
                self._chunks = []
                self._permit.release()
            self._spool.write(piece)
        except OSError as failure:
            raise Overloaded(
                f"cannot buffer a body above {self._limits.memory_body_bytes} bytes: it needs a "
                "writable temporary directory with free space (TMPDIR)"
            ) from failure

    def body(self, is_declared: bool) -> Body:
        if self._spool is not None:
            self._flush(self._spool)
        return Body(tuple(self._chunks), self.size, self._spool, is_declared or self.size > 0)

    def _flush(self, spool: BinaryIO) -> None:
        try:
            spool.flush()
        except OSError as failure:
            raise Overloaded(
                "cannot buffer the body: the temporary directory is full (TMPDIR)"
            ) from failure

    def close(self) -> None:
        self._chunks = []  # they count no longer, but a propagating error may refer to this object
        if self._spool is not None:
            with suppress(OSError):  # on a full disk, the flush fails again
                self._spool.close()


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limits.body_bytes} bytes (limits.body_bytes)")
