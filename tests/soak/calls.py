"""The calls of a soak test. Each call is made once and has a unique number."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

_NUMBER = re.compile(rb"[?&]call=(\d+)")
# Larger than the memory limit of a body in the soak test, so that these go through the spool.
UPLOAD_BYTES = (90_000, 300_000)
DOWNLOAD_BYTES = 300_000
_FAULTS = (
    "delay=0.2",
    "cut=before-head",
    "cut=head",
    "cut=body",
    "cut=chunk",
    "garbage",
    "status=429",
    "status=503",
    "status=500",
    "refuse=QUERY_TIME_OUT",
    "refuse=INVALID_TOKEN",
)
# The behaviors of clients, with their percentage.
_BEHAVIORS = {"kept": 50, "single": 22, "leaving": 18, "slow-sending": 5, "slow-reading": 5}
STAGES = ("connected", "in its head", "in its body", "sent", "in its response")


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        behavior: how the client behaves.
        stage: where a leaving client disconnects.
        is_reset: whether it disconnects with a reset.
        answer_bytes: the size of a good body; None if the body contains the number instead.
    """

    number: int
    method: str
    text: bytes
    behavior: str
    stage: str
    is_reset: bool
    answer_bytes: int | None

    @property
    def is_safe(self) -> bool:
        return self.method == "GET"

    @property
    def head_bytes(self) -> int:
        return self.text.index(b"\r\n\r\n") + 4


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    body: bytes = b""
    answer_bytes: int | None = None


def number_of(target: bytes) -> int | None:
    """The number of a call from its target; None for the proxy's own requests."""
    found = _NUMBER.search(target)
    return int(found[1]) if found else None


def calls(rng: random.Random) -> Callable[[], Call]:
    """Returns a function that creates random calls."""
    numbers = count(1)

    def make() -> Call:
        number = next(numbers)
        request = rng.choice((_read, _read, _read, _order, _order, _upload, _download, _slow))(
            rng, number
        )
        behavior = rng.choices([*_BEHAVIORS], [*_BEHAVIORS.values()])[0]
        return Call(
            number=number,
            method=request.method,
            text=_text(request, number, behavior, rng),
            behavior=behavior,
            stage=rng.choice(STAGES),
            is_reset=rng.random() < 0.5,
            answer_bytes=request.answer_bytes,
        )

    return make


def _read(rng: random.Random, number: int) -> _Request:
    return _Request("GET", f"/sandbox/echo?call={number}")


def _order(rng: random.Random, number: int) -> _Request:
    method = rng.choice(("POST", "PUT", "DELETE"))
    return _Request(method, f"/sandbox/echo?call={number}", b'{"order": %d}' % number)


def _upload(rng: random.Random, number: int) -> _Request:
    body = rng.randbytes(rng.randint(*UPLOAD_BYTES))
    return _Request("POST", f"/sandbox/status/200?call={number}", body, len(b"null"))


def _download(rng: random.Random, number: int) -> _Request:
    target = f"/sandbox/bytes/{DOWNLOAD_BYTES}?chunked={number % 2}&call={number}"
    return _Request("GET", target, answer_bytes=DOWNLOAD_BYTES)


def _slow(rng: random.Random, number: int) -> _Request:
    target = f"/sandbox/slow?chunks=3&delay=0.05&call={number}"
    return _Request("GET", target, answer_bytes=len(b"[1\n,2\n,3]\n"))


def _text(request: _Request, number: int, behavior: str, rng: random.Random) -> bytes:
    profile = rng.choice(("", "/@robot", "/@card"))
    lines = [
        f"{request.method} {profile}{request.target} HTTP/1.1",
        "Host: localhost",
        f"X-Ovh-Proxy-Request-Id: {number}",
    ]
    if behavior == "single":
        lines.append("Connection: close")
    if rng.random() < 0.25:
        lines.append(f"X-Sandbox-Fault: {rng.choice(_FAULTS)}")
    body = request.body
    if body and number % 3 == 0:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
