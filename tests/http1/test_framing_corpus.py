"""Requests that the authors of other parsers found worth testing.

`tests/data/raw_requests.jsonl` holds them as they stand in the test-suites of llhttp and gunicorn,
with their origin: `raw` is the bytes as Latin-1, `hint` what their authors say of it.
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
# Nobody waits long for the rest of a request here.
TIMEOUTS = Timeouts(header_s=0.2, body_s=0.2, idle_s=0.3)
# A handshake has `header_s` too, and takes longer than a head where other tests run beside it.
TIMEOUTS_INSIDE = replace(TIMEOUTS, header_s=2.0)
_HOST = re.compile(rb"(?i)(\r\nhost:[ \t]*)[a-z0-9.-]+(?::[0-9]+)?(?=\r\n)")
_TARGET = re.compile(rb"(?m)^([A-Z-]+ )/(?=[!-~]* HTTP/1\.[01]\r$)")
_SERIAL = re.compile(rb"\r\nSerial: ([0-9]+)\r\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client got for one item: the last head whole, and which upstream requests answered."""

    statuses: list[int]
    closes: bool
    serials: list[int]

    @property
    def is_refused(self) -> bool:
        """Whether the last answer is a refusal, and ends the connection."""
        return self.closes and 400 <= self.statuses[-1] < 500


class Numbering:
    """Answers each request upstream with its number, so that nobody gets another's answer."""

    def __init__(self) -> None:
        self.given = 0

    async def __call__(self, request, side) -> None:
        number, self.given = self.given, self.given + 1
        await side.write(b"HTTP/1.1 200 OK\r\nSerial: %d\r\nContent-Length: 0\r\n\r\n" % number)


@pytest.fixture
def numbering(upstream) -> Numbering:
    """The upstream's answers."""
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
    """The same with a Host, where its authors had none."""
    line, mark, rest = text.partition(b"\r\n")
    return text if b"\r\nhost" in text.lower() else line + mark + b"Host: localhost" + mark + rest


def texts_of(source: str) -> dict[str, tuple[str, bytes]]:
    """Hint and bytes of a source's items, by name."""
    chosen = [case for case in CASES if case["src"] == source]
    return {
        f"{i} {case['name']}": (case["hint"], case["raw"].encode("latin-1"))
        for i, case in enumerate(chosen)
    }


@dataclass(frozen=True, slots=True)
class Way:
    """How the items are sent."""

    listener: int = 0
    is_slow: bool = False
    adds_host: bool = False
    is_inside: bool = False

    def size(self, text: bytes) -> int:
        """How many bytes at a time; the few long items would take too long by single ones."""
        return max(1, len(text) // 2000) if self.is_slow else len(text)


WAYS = {
    "tcp": Way(),
    "tcp byte by byte": Way(is_slow=True),
    "unix": Way(listener=1),
    # Most items have no Host, which is reason enough to refuse them: with one they get further.
    "with a Host": Way(adds_host=True),
    "with a Host, byte by byte": Way(is_slow=True, adds_host=True),
    "within CONNECT": Way(is_inside=True),
    "within CONNECT, with a Host": Way(is_inside=True, adds_host=True),
}


def as_inside(text: bytes, host: str) -> bytes:
    """The same for the endpoint itself: its Host, and paths of its API."""
    text = _HOST.sub(rb"\g<1>" + host.encode(), text)
    return _TARGET.sub(rb"\g<1>/1.0/", text)


@pytest.mark.asyncio
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_every_request_keeps_the_rules(
    start, upstream, numbering, unix_listener, tmp_path, source, way
):
    listen = (Listener(TcpAddress("127.0.0.1", 0)), unix_listener)
    intercepts = {"intercept": True, "state_directory": str(tmp_path)} if way.is_inside else {}
    timeouts = TIMEOUTS_INSIDE if way.is_inside else TIMEOUTS
    front = await start(listen=listen, hosts=HOSTS, timeouts=timeouts, **intercepts)
    items = texts_of(source)
    texts = [with_host(text) if way.adds_host else text for _, text in items.values()]
    host = f"127.0.0.1:{upstream.port}"
    if way.is_inside:
        texts = [as_inside(text, host) for text in texts]

    # Handshakes take so long that all at once would outlast their own bound.
    handshakes = asyncio.Semaphore(4)

    async def converse(text: bytes) -> Outcome:
        if not way.is_inside:
            return await outcome(await front.connect(way.listener), text, way.size(text))
        async with handshakes:
            conversation = await connect_inside(front, tmp_path, host)
        return await outcome(conversation, text, way.size(text))

    outcomes = await asyncio.gather(*map(converse, texts))

    found = dict(zip(items, outcomes, strict=True))
    served = [number for got in outcomes for number in got.serials]
    assert upstream.offences == []
    assert sorted(served) == list(range(numbering.given))  # each answer reached its client
    assert [name for name, got in found.items() if got.serials != sorted(got.serials)] == []
    assert [name for name, got in found.items() if 500 in got.statuses] == []
    assert [name for name, got in found.items() if not got.statuses] == []
    refused = [] if way.adds_host else [name for name in items if items[name][0] == "reject"]
    assert [name for name in refused if not found[name].is_refused] == []
