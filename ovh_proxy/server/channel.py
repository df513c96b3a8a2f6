"""Messages between the supervisor and its workers: JSON, each with its length before it."""

import json
import struct
from typing import Any

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
