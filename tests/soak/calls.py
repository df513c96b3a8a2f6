"""What the clients of a soak ask for: each call is made once in the world, and has a number."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

_NUMBER = re.compile(rb"[?&]call=(\d+)")
# More than the soak lets a body take of memory, so that these go through the spool.
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
# How a client behaves, and how often of a hundred.
_MANNERS = {"kept": 50, "single": 22, "leaving": 18, "dripping": 5, "sipping": 5}
STAGES = ("connected", "in its head", "in its body", "asked", "in its answer")


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        manner: how its client behaves.
        stage: where a client that leaves does so; is_reset: without a goodbye.
        answer_bytes: of the body of a good answer; None where it tells the number instead.
    """

    number: int
    method: str
    text: bytes
    manner: str
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
class _Asked:
    method: str
    target: str
    body: bytes = b""
    answer_bytes: int | None = None


def number_of(target: bytes) -> int | None:
    """The number of a call, from its target; None where the proxy asks for itself."""
    found = _NUMBER.search(target)
    return int(found[1]) if found else None


def calls(chance: random.Random) -> Callable[[], Call]:
    """Makes calls that differ in all that they may differ in."""
    numbers = count(1)

    def made() -> Call:
        number = next(numbers)
        asked = chance.choice((_read, _read, _read, _order, _order, _upload, _download, _slow))(
            chance, number
        )
        manner = chance.choices([*_MANNERS], [*_MANNERS.values()])[0]
        return Call(
            number=number,
            method=asked.method,
            text=_text(asked, number, manner, chance),
            manner=manner,
            stage=chance.choice(STAGES),
            is_reset=chance.random() < 0.5,
            answer_bytes=asked.answer_bytes,
        )

    return made


def _read(chance: random.Random, number: int) -> _Asked:
    return _Asked("GET", f"/sandbox/echo?call={number}")


def _order(chance: random.Random, number: int) -> _Asked:
    method = chance.choice(("POST", "PUT", "DELETE"))
    return _Asked(method, f"/sandbox/echo?call={number}", b'{"order": %d}' % number)


def _upload(chance: random.Random, number: int) -> _Asked:
    body = chance.randbytes(chance.randint(*UPLOAD_BYTES))
    return _Asked("POST", f"/sandbox/status/200?call={number}", body, len(b"null"))


def _download(chance: random.Random, number: int) -> _Asked:
    target = f"/sandbox/bytes/{DOWNLOAD_BYTES}?chunked={number % 2}&call={number}"
    return _Asked("GET", target, answer_bytes=DOWNLOAD_BYTES)


def _slow(chance: random.Random, number: int) -> _Asked:
    target = f"/sandbox/slow?chunks=3&delay=0.05&call={number}"
    return _Asked("GET", target, answer_bytes=len(b"[1\n,2\n,3]\n"))


def _text(asked: _Asked, number: int, manner: str, chance: random.Random) -> bytes:
    profile = chance.choice(("", "/@robot", "/@card"))
    lines = [
        f"{asked.method} {profile}{asked.target} HTTP/1.1",
        "Host: localhost",
        f"X-Ovh-Proxy-Request-Id: {number}",
    ]
    if manner == "single":
        lines.append("Connection: close")
    if chance.random() < 0.25:
        lines.append(f"X-Sandbox-Fault: {chance.choice(_FAULTS)}")
    body = asked.body
    if body and number % 3 == 0:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
