"""Messages between supervisor and workers: length-prefixed JSON, and a worker's end."""

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from ovh_proxy.core.errors import Overloaded

Message = dict[str, Any]
_LENGTH = struct.Struct("!I")


def encode_message(message: Message) -> bytes:
    text = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text


class MessageDecoder:
    """Splits a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[Message]:
        """Returns the messages that this chunk completes."""
        self._buffer += chunk
        messages = []
        while (end := self._message_end()) is not None:
            messages.append(json.loads(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
        return messages

    def _message_end(self) -> int | None:
        """Returns where the first message ends; None while it is incomplete."""
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + int(_LENGTH.unpack_from(self._buffer)[0])
        return end if len(self._buffer) >= end else None


# The supervisor replies at once, unless it is suspended.
_REPLY_TIMEOUT_S = 5.0


class SupervisorChannel(asyncio.Protocol):
    """Sends messages to the supervisor, and dispatches received ones by type."""

    def __init__(self, reply_timeout_s: float = _REPLY_TIMEOUT_S) -> None:
        self._reply_timeout_s = reply_timeout_s
        self._transport: asyncio.Transport | None = None
        self._decoder = MessageDecoder()
        self._handlers: dict[str, Callable[..., None]] = {}
        self._request_ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self.on("reply", self._on_reply)

    async def connect(self, channel: socket.socket) -> None:
        """Starts receiving; all handlers must be registered before."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=channel)

    def on(self, kind: str, handler: Callable[..., None]) -> None:
        """Registers a handler, called with the fields of each message of this type.

        The type `lost` means that the supervisor has ended.
        """
        self._handlers[kind] = handler

    def send(self, kind: str, **fields: Any) -> None:
        """Sends a message without waiting."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_message({"type": kind, **fields}))

    async def request(self, kind: str, **fields: Any) -> Message:
        """Sends a message and returns its reply.

        Raises:
            Overloaded: no reply in time.
        """
        request_id = next(self._request_ids)
        future = self._replies[request_id] = asyncio.get_running_loop().create_future()
        self.send(kind, request_id=request_id, **fields)
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                reply: Message = await future
                return reply
        except TimeoutError:
            raise Overloaded("the supervisor process does not respond") from None
        finally:
            del self._replies[request_id]

    def close(self) -> None:
        self.on("lost", lambda: None)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self._handlers[message.pop("type")](**message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._handlers["lost"]()

    def _on_reply(self, request_id: int, **fields: Any) -> None:
        future = self._replies.get(request_id)
        if future is not None and not future.done():
            future.set_result(fields)
