"""Requests from the test suites of other parsers.

`tests/data/raw_requests.jsonl` contains requests of the test suites of llhttp and gunicorn, with
their origin: `raw` is the bytes as Latin-1, `hint` is the result that their authors expect.
"""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.intercepted import connect_inside

from ovh_proxy.core.settings import Listener, TcpAddress, Timeouts

CORPUS = Path(__file__).parents[1] / "data" / "raw_requests.jsonl"
CASES = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
SOURCES = sorted({case["src"] for case in CASES})
HOSTS = frozenset(
    match[1].lower()
    for case in CASES
    for match in re.finditer(r"(?i)\r\nhost:[ \t]*([a-z0-9.-]+)", case["raw"])
)
# Short, so that an incomplete request times out soon.
TIMEOUTS = Timeouts(header_s=0.2, body_s=0.2, idle_s=0.3)
# `header_s` also limits the TLS handshake, which takes longer when other tests run in parallel.
TIMEOUTS_INSIDE = replace(TIMEOUTS, header_s=2.0)
_HOST = re.compile(rb"(?i)(\r\nhost:[ \t]*)[a-z0-9.-]+(?::[0-9]+)?(?=\r\n)")
_TARGET = re.compile(rb"(?m)^([A-Z-]+ )/(?=[!-~]* HTTP/1\.[01]\r$)")
_SERIAL = re.compile(rb"\r\nSerial: ([0-9]+)\r\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client received for one item: statuses, and the numbers of upstream's responses."""

    statuses: list[int]
    closes: bool
    serials: list[int]

    @property
    def is_refused(self) -> bool:
        """Whether the last response is an error that closes the connection."""
        return self.closes and 400 <= self.statuses[-1] < 500


class Numbering:
    """Responds to each upstream request with its number, to detect swapped responses."""

    def __init__(self) -> None:
        self.given = 0

    async def __call__(self, request, side) -> None:
        number, self.given = self.given, self.given + 1
        await side.write(b"HTTP/1.1 200 OK\r\nSerial: %d\r\nContent-Length: 0\r\n\r\n" % number)


@pytest.fixture
def numbering(upstream) -> Numbering:
    """Numbers the responses of the upstream."""
    upstream.answering = Numbering()
    return upstream.answering


async def outcome(conversation, text: bytes, size: int) -> Outcome:
    await conversation.send_slowly(text, size)
    received = await conversation.rest()
    heads = [b"HTTP/1.1 " + head for head in received.split(b"HTTP/1.1 ")[1:]]
    return Outcome(
        [int(head[9:12]) for head in heads],
        bool(heads) and b"\r\nConnection: close\r\n" in heads[-1],
        [int(number) for number in _SERIAL.findall(received)],
    )


def with_host(text: bytes) -> bytes:
    """Adds a Host header if there is none."""
    line, mark, rest = text.partition(b"\r\n")
    return text if b"\r\nhost" in text.lower() else line + mark + b"Host: localhost" + mark + rest


def texts_of(source: str) -> dict[str, tuple[str, bytes]]:
    """Returns hint and bytes of the items of a source, by name."""
    chosen = [case for case in CASES if case["src"] == source]
    return {
        f"{i} {case['name']}": (case["hint"], case["raw"].encode("latin-1"))
        for i, case in enumerate(chosen)
    }


@dataclass(frozen=True, slots=True)
class Transfer:
    """How the items are sent."""

    listener: int = 0
    is_slow: bool = False
    adds_host: bool = False
    is_inside: bool = False

    def size(self, text: bytes) -> int:
        """How many bytes are sent at a time; single bytes would take too long for long items."""
        return max(1, len(text) // 2000) if self.is_slow else len(text)


TRANSFERS = {
    "tcp": Transfer(),
    "tcp byte by byte": Transfer(is_slow=True),
    "unix": Transfer(listener=1),
    # Most items have no Host and are rejected for that reason alone: with one, they get further.
    "with a Host": Transfer(adds_host=True),
    "with a Host, byte by byte": Transfer(is_slow=True, adds_host=True),
    "within CONNECT": Transfer(is_inside=True),
    "within CONNECT, with a Host": Transfer(is_inside=True, adds_host=True),
}


def as_inside(text: bytes, host: str) -> bytes:
    """Adapts a request to the endpoint: its Host, and paths of its API."""
    text = _HOST.sub(rb"\g<1>" + host.encode(), text)
    return _TARGET.sub(rb"\g<1>/1.0/", text)


@pytest.mark.asyncio
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("transfer", TRANSFERS.values(), ids=TRANSFERS)
async def test_every_request_follows_the_rules(
    start, upstream, numbering, unix_listener, tmp_path, source, transfer
):
    listen = (Listener(TcpAddress("127.0.0.1", 0)), unix_listener)
    intercepts = {"intercept": True, "state_directory": str(tmp_path)} if transfer.is_inside else {}
    timeouts = TIMEOUTS_INSIDE if transfer.is_inside else TIMEOUTS
    proxy_server = await start(listen=listen, hosts=HOSTS, timeouts=timeouts, **intercepts)
    items = texts_of(source)
    texts = [with_host(text) if transfer.adds_host else text for _, text in items.values()]
    host = f"127.0.0.1:{upstream.port}"
    if transfer.is_inside:
        texts = [as_inside(text, host) for text in texts]

    # All handshakes at once would exceed their own timeout.
    handshakes = asyncio.Semaphore(4)

    async def converse(text: bytes) -> Outcome:
        if not transfer.is_inside:
            return await outcome(
                await proxy_server.connect(transfer.listener), text, transfer.size(text)
            )
        async with handshakes:
            conversation = await connect_inside(proxy_server, tmp_path, host)
        return await outcome(conversation, text, transfer.size(text))

    outcomes = await asyncio.gather(*map(converse, texts))

    found = dict(zip(items, outcomes, strict=True))
    served = [number for got in outcomes for number in got.serials]
    assert upstream.offences == []
    assert sorted(served) == list(range(numbering.given))  # each response reached its client
    assert [name for name, got in found.items() if got.serials != sorted(got.serials)] == []
    assert [name for name, got in found.items() if 500 in got.statuses] == []
    assert [name for name, got in found.items() if not got.statuses] == []
    refused = [] if transfer.adds_host else [name for name in items if items[name][0] == "reject"]
    assert [name for name in refused if not found[name].is_refused] == []
