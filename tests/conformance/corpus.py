"""Test requests from the authors of other HTTP parsers, sent to every contender."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.proxy_server import Message, RawUpstream, UpstreamSide

CORPUS = Path(__file__).parents[1] / "data" / "raw_requests.jsonl"
# A connection that is still open after this time counts as hanging. The timeouts are a fifth of it.
HANG_S = 5.0
TIMEOUT_S = 1
_AT_ONCE = 32
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) ")
_SERIAL = re.compile(rb"\r\nserial: ([0-9]+)\r\n", re.IGNORECASE)
_HOST = re.compile(rb"(?i)(\r\nhost:[ \t]*)[a-z0-9.-]+(?::[0-9]+)?(?=\r\n)")
# Headers that only a signing proxy must drop, and headers that a proxy may set for its next hop.
_NOT_OWED = re.compile("x-ovh-|(?:authorization|cookie|connection|transfer-encoding) crossed")


@dataclass(frozen=True, slots=True)
class Item:
    """One request, valid or malformed.

    Attributes:
        must_refuse: whether its authors say that a strict server rejects it.
    """

    name: str
    text: bytes
    must_refuse: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client received for an item.

    Attributes:
        serials: the numbers of the upstream requests whose responses it received.
    """

    statuses: tuple[int, ...]
    serials: tuple[int, ...]
    hangs: bool = False

    @property
    def word(self) -> str:
        """The outcome in one word."""
        if self.hangs:
            return "hangs"
        if not self.statuses:
            return "closed"
        last = self.statuses[-1]
        return "rejected" if 400 <= last < 500 else "failed" if last >= 500 else "forwarded"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcomes of all items with one contender.

    Attributes:
        arrived: the number of requests upstream.
        offences: the problems that a strict server would find in them, with their counts.
    """

    outcomes: dict[str, Outcome]
    arrived: int
    offences: Mapping[str, int]

    @property
    def unanswered(self) -> int:
        """The number of upstream requests whose response reached no client."""
        return self.arrived - sum(len(outcome.serials) for outcome in self.outcomes.values())


def items() -> list[Item]:
    """All items, with their Host replaced by one that every contender accepts."""
    found = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
    return [
        Item(
            f"{number} {one['src']}: {one['name']}",
            _HOST.sub(rb"\1localhost", one["raw"].encode("latin-1")),
            one["hint"] == "reject",
        )
        for number, one in enumerate(found)
    ]


def outcome_of(received: bytes, *, hangs: bool) -> Outcome:
    """Parses what a client received, ignoring interim responses."""
    statuses = [int(status) for status in _STATUS.findall(received)]
    serials = [int(serial) for serial in _SERIAL.findall(received)]
    return Outcome(tuple(x for x in statuses if x >= 200), tuple(serials), hangs)


class _Numbering:
    def __init__(self) -> None:
        self.given = 0

    async def __call__(self, request: Message, side: UpstreamSide) -> None:
        if request.target.endswith("/auth/currentCredential"):
            # The proxy's own request; it has no client.
            await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            return
        number, self.given = self.given, self.given + 1
        await side.write(b"HTTP/1.1 200 OK\r\nSerial: %d\r\nContent-Length: 0\r\n\r\n" % number)


async def send_all(
    upstream: RawUpstream, port: int, sent: Sequence[Item], *, is_slow: bool
) -> Result:
    """Sends every item on a separate connection, whole or byte by byte."""
    upstream.requests.clear()
    upstream.answering = numbering = _Numbering()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> Outcome:
        async with slots:
            return await _send(port, item.text, is_slow)

    outcomes = await asyncio.gather(*(one(item) for item in sent))
    offences = Counter(one for one in upstream.offences if not _NOT_OWED.search(one))
    names = [item.name for item in sent]
    return Result(dict(zip(names, outcomes, strict=True)), numbering.given, offences)


async def _send(port: int, text: bytes, is_slow: bool) -> Outcome:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, hangs = bytearray(), False
    # Send and receive in parallel: a reset in response to late bytes discards unread responses.
    sending = asyncio.ensure_future(_write(writer, text, is_slow))
    try:
        async with asyncio.timeout(HANG_S):
            while piece := await reader.read(65_536):
                received += piece
    except TimeoutError:
        hangs = True
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        writer.transport.abort()
    return outcome_of(bytes(received), hangs=hangs)


async def _write(writer: asyncio.StreamWriter, text: bytes, is_slow: bool) -> None:
    # The few long items would take too long byte by byte.
    size = max(1, len(text) // 500) if is_slow else max(1, len(text))
    for start in range(0, len(text), size):
        if writer.is_closing():
            return
        writer.write(text[start : start + size])
        await asyncio.sleep(0.0005 if is_slow else 0)
