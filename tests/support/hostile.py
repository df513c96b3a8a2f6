"""A hostile upstream: it answers clock requests, and treats calls as its script says."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.proxy_server import APPLICATION_SECRET, CONSUMER_KEY, Message
from support.raw_server import RawServer, Side

from ovh_proxy.sandbox.authentication import expected_signature

_CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"


@dataclass(eq=False)
class CallSide(Side):
    """The upstream's end of a connection for calls; a clock request ends it."""

    upstream: "HostileUpstream" = field(kw_only=True)

    async def head(self) -> bytes:
        head = await super().head()
        text = self.upstream.own_answer(head) if self.upstream.answers_own else None
        if text is None:
            return head
        self.heads.pop()
        if not self.heads:
            self.upstream.sides.remove(self)
        await self.send(text)
        raise EOFError  # ends the script, too

    async def request(self) -> bytes:
        head = await super().request()
        await self.upstream.tell()
        return head


class HostileUpstream(RawServer):
    """Breaks calls; the proxy's own requests are answered, on connections that do not count.

    Attributes:
        now: the time of its clock.
        answers_own: if false, the proxy's own requests are treated as calls.
        times_told: clock requests so far; states_told: requests for the state of a key so far.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.now: Callable[[], float] = time.time
        self.answers_own = True
        self.times_told = 0
        self.states_told = 0

    def side(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Side:
        return CallSide(reader, writer, upstream=self)

    def own_answer(self, head: bytes) -> bytes | None:
        """Returns the response to the proxy's own requests, which closes the connection."""
        if b"/auth/time " in head:
            self.times_told += 1
            return _CLOSING % (10, b"%010d" % self.now())
        if b"/auth/currentCredential " in head:
            self.states_told += 1
            return _CLOSING % (2, b"{}")
        return None

    @property
    def calls(self) -> list[Message]:
        """All complete calls, by connection."""
        return [
            Message(head, body)
            for side in self.sides
            for head, body in zip(side.heads, side.bodies, strict=False)
        ]

    def wrong_signatures(self) -> list[str]:
        """Errors in the signatures of the calls, by the documented formula."""
        return [wrong for call in self.calls if (wrong := self.wrong_with(call)) is not None]

    def wrong_with(self, call: Message) -> str | None:
        """Returns what is wrong with the signature of a call, if anything."""
        timestamp = call.value("X-Ovh-Timestamp") or "0"
        url = f"{self.url}{call.target}".encode()
        made = call.method, url, call.body, timestamp
        if call.value("X-Ovh-Signature") != expected_signature(
            APPLICATION_SECRET, CONSUMER_KEY, *made
        ):
            return f"{call.first_line}: not signed for what it is"
        if abs(int(timestamp) - self.now()) > 5:
            return f"{call.first_line}: signed for another time"
        return None
