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
    """The bytes of a message."""
    text = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text


class MessageDecoder:
    """Cuts messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[Message]:
        """The messages that are whole now."""
        self._held += piece
        messages = []
        while (end := self._end()) is not None:
            messages.append(json.loads(self._held[_LENGTH.size : end]))
            del self._held[:end]
        return messages

    def _end(self) -> int | None:
        """Where the first message ends; None while it is not all there."""
        if len(self._held) < _LENGTH.size:
            return None
        end = _LENGTH.size + int(_LENGTH.unpack_from(self._held)[0])
        return end if len(self._held) >= end else None


# The supervisor answers at once, unless somebody has stopped it.
_ANSWER_S = 5.0


class SupervisorChannel(asyncio.Protocol):
    """Sends messages, and hands those that come to whoever hears them."""

    def __init__(self, answer_s: float = _ANSWER_S) -> None:
        """
        Args:
            answer_s: how long an answer is waited for.
        """
        self._answer_s = answer_s
        self._transport: asyncio.Transport | None = None
        self._unpacker = MessageDecoder()
        self._hearing: dict[str, Callable[..., None]] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self.on("answer", self._take_answer)

    async def connect(self, channel: socket.socket) -> None:
        """Begins; whoever is to hear messages is there by now."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=channel)

    def on(self, what: str, take: Callable[..., None]) -> None:
        """Has `take` called with the fields of each message that is `what`.

        `lost` is heard when the supervisor has ended.
        """
        self._hearing[what] = take

    def send(self, what: str, **fields: Any) -> None:
        """Sends a message, and waits for nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_message({"is": what, **fields}))

    async def ask(self, what: str, **fields: Any) -> Message:
        """The answer to a message.

        Raises:
            Overloaded: there is none within the bound.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self.send(what, number=number, **fields)
        try:
            async with asyncio.timeout(self._answer_s):
                told: Message = await answer
                return told
        except TimeoutError:
            raise Overloaded("the supervisor of the workers does not answer") from None
        finally:
            del self._answers[number]

    def close(self) -> None:
        """Says no more."""
        self.on("lost", lambda: None)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        for message in self._unpacker.feed(data):
            self._hearing[message.pop("is")](**message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hearing["lost"]()

    def _take_answer(self, number: int, **answer: Any) -> None:
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
