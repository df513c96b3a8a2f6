"""Fault injection: failures on demand, responses that break off or are no HTTP."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from ovh_proxy.sandbox.call import ApiPath
from ovh_proxy.sandbox.grants import matches
from ovh_proxy.sandbox.http_server import chunk, head, length_of, pieces_of
from ovh_proxy.sandbox.responses import (
    WITH_CODE,
    WITHOUT_CODE,
    Headers,
    Response,
    Verbatim,
    bad_request,
)

# As a TLS server answers that was asked in plain text.
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n"


async def nothing(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends without a byte."""


async def garbage(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """Something that is no HTTP."""
    await request.writer.write(GARBAGE)


async def half_head(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends within the headers."""
    whole = head(answer, common, keep_alive=True)
    await request.writer.write(whole[: len(whole) // 2])


async def half_body(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends after half of the promised length."""
    length = length_of(answer) or 0
    await request.writer.write(head(answer, common, keep_alive=True))
    async for piece in first_bytes(answer, length // 2):
        await request.writer.write(piece)


async def half_chunk(request: web.BaseRequest, answer: Response, common: Headers) -> None:
    """The connection ends within the first chunk of a chunked body."""
    chunked = Response(answer.status, pieces=pieces_of(answer), headers=answer.headers)
    await request.writer.write(head(chunked, common, keep_alive=True))
    async for piece in pieces_of(answer):
        await request.writer.write(chunk(piece)[: -(len(piece) // 2) - len(b"\r\n")])
        return


async def first_bytes(answer: Response, count: int) -> AsyncIterator[bytes]:
    """So many bytes of the body."""
    async for piece in pieces_of(answer):
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


Break = Callable[[web.BaseRequest, Response, Headers], Awaitable[None]]


BREAKS: dict[str, Break] = {
    "before-head": nothing,
    "head": half_head,
    "body": half_body,
    "chunk": half_chunk,
    "": garbage,  # the fault that takes no value
}


async def send_broken(
    how: str, request: web.BaseRequest, answer: Response | Verbatim, common: Headers
) -> None:
    """Breaks an answer; whoever calls this ends the connection."""
    whole = Response(body=answer.raw) if isinstance(answer, Verbatim) else answer
    await BREAKS[how](request, whole, common)


FAULT = "X-Sandbox-Fault"

CUTS = frozenset({"before-head", "head", "body", "chunk"})

TIME = "/auth/time"

FINAL_STATUSES = range(200, 1000)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure.

    Attributes:
        kind: a key of `CHECKS`.
        value: what follows the equals sign.
        path: a pattern that the path has to fit; None is every API call but `/auth/time`.
    """

    kind: str
    value: str = ""
    path: str | None = None

    def hits(self, place: ApiPath) -> bool:
        """Whether the failure is meant for a request to that place."""
        if place.version and place.path != TIME:
            return self.path is None or matches(self.path, place.rule_path)
        # Nobody who breaks "the next call" means the clock or the token that it needs first.
        return self.path == place.path


def is_number(value: str) -> bool:
    """Whether it is a finite number."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def is_delay(value: str) -> bool:
    """Whether it is a time that can be waited, in seconds."""
    return is_number(value) and float(value) >= 0


# Every kind of failure, and what its value may be.
CHECKS: dict[str, Callable[[str], bool]] = {
    "delay": is_delay,
    "refuse": lambda value: value in WITH_CODE or value in WITHOUT_CODE,
    "status": lambda value: value.isdecimal() and int(value) in FINAL_STATUSES,
    "cut": lambda value: value in CUTS,
    "garbage": lambda value: not value,
    "clock": is_number,
}


def parse_fault(text: str, path: str | None = None) -> Fault:
    """Reads `kind=value`.

    Raises:
        ValueError: when there is no such failure.
    """
    kind, _, value = text.strip().partition("=")
    if kind not in CHECKS or not CHECKS[kind](value):
        raise ValueError(f"no such fault: {text}")
    return Fault(kind, value, path)


def faults_in(values: Iterable[str]) -> list[Fault]:
    """The failures that a request asks for, commas between them.

    Raises:
        Refusal: 400 when there is no such failure.
    """
    try:
        return [parse_fault(text) for value in values for text in value.split(",")]
    except ValueError as unknown:
        raise bad_request(str(unknown)) from None


def values_of(faults: Iterable[Fault], kind: str) -> list[str]:
    """What the faults of that kind ask for."""
    return [fault.value for fault in faults if fault.kind == kind]


class Faults:
    """The failures arranged for coming requests."""

    def __init__(self) -> None:
        self._once: list[Fault] = []
        self._always: list[Fault] = []

    def once(self, text: str, *, path: str | None = None) -> None:
        """Arranges a failure of the next request to that path, or of the next API call.

        Several for the same path hit one request after the other.

        Raises:
            ValueError: when there is no such failure.
        """
        self._once.append(parse_fault(text, path))

    def always(self, text: str, *, path: str | None = None) -> None:
        """Arranges a failure of every request to that path, or of every API call, until `clear`.

        Raises:
            ValueError: when there is no such failure.
        """
        self._always.append(parse_fault(text, path))

    def clear(self) -> None:
        """Nothing fails any more."""
        self._once.clear()
        self._always.clear()

    def take(self, place: ApiPath) -> list[Fault]:
        """The failures of a request to that place. Those meant for once are used up by it."""
        hits = [fault for fault in self._always if fault.hits(place)]
        first = next((fault for fault in self._once if fault.hits(place)), None)
        if first is not None:
            self._once.remove(first)
            hits.append(first)
        return hits
