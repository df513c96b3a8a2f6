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

# What a TLS server sends in response to plain text.
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n"


async def nothing(request: web.BaseRequest, response: Response, common: Headers) -> None:
    """Closes the connection without sending a byte."""


async def garbage(request: web.BaseRequest, response: Response, common: Headers) -> None:
    """Sends bytes that are not HTTP."""
    await request.writer.write(GARBAGE)


async def half_head(request: web.BaseRequest, response: Response, common: Headers) -> None:
    """Closes the connection within the headers."""
    whole = head(response, common, keep_alive=True)
    await request.writer.write(whole[: len(whole) // 2])


async def half_body(request: web.BaseRequest, response: Response, common: Headers) -> None:
    """Closes the connection after half of the declared length."""
    length = length_of(response) or 0
    await request.writer.write(head(response, common, keep_alive=True))
    async for piece in first_bytes(response, length // 2):
        await request.writer.write(piece)


async def half_chunk(request: web.BaseRequest, response: Response, common: Headers) -> None:
    """Closes the connection within the first chunk of a chunked body."""
    chunked = Response(response.status, pieces=pieces_of(response), headers=response.headers)
    await request.writer.write(head(chunked, common, keep_alive=True))
    async for piece in pieces_of(response):
        await request.writer.write(chunk(piece)[: -(len(piece) // 2) - len(b"\r\n")])
        return


async def first_bytes(response: Response, count: int) -> AsyncIterator[bytes]:
    """The first `count` bytes of the body."""
    async for piece in pieces_of(response):
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
    how: str, request: web.BaseRequest, response: Response | Verbatim, common: Headers
) -> None:
    """Sends a broken response; the caller closes the connection."""
    whole = Response(body=response.raw) if isinstance(response, Verbatim) else response
    await BREAKS[how](request, whole, common)


FAULT = "X-Sandbox-Fault"
CUTS = frozenset({"before-head", "head", "body", "chunk"})
TIME = "/auth/time"
FINAL_STATUSES = range(200, 1000)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: a key of `CHECKS`.
        value: the text after the equals sign.
        path: a pattern for the path; None matches every API call except `/auth/time`.
    """

    kind: str
    value: str = ""
    path: str | None = None

    def hits(self, api_path: ApiPath) -> bool:
        """Whether the fault applies to a request for that path."""
        if api_path.version and api_path.path != TIME:
            return self.path is None or matches(self.path, api_path.rule_path)
        # A fault of "the next call" does not mean the clock or token request that precedes it.
        return self.path == api_path.path


def is_number(value: str) -> bool:
    """Whether it is a finite number."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def is_delay(value: str) -> bool:
    """Whether it is a valid delay in seconds."""
    return is_number(value) and float(value) >= 0


# Every kind of fault, with the check of its value.
CHECKS: dict[str, Callable[[str], bool]] = {
    "delay": is_delay,
    "refuse": lambda value: value in WITH_CODE or value in WITHOUT_CODE,
    "status": lambda value: value.isdecimal() and int(value) in FINAL_STATUSES,
    "cut": lambda value: value in CUTS,
    "garbage": lambda value: not value,
    "clock": is_number,
}

_SYNTAX = (
    f"delay=SECONDS, refuse=CODE, status=CODE, cut={'|'.join(sorted(CUTS))}, garbage or "
    "clock=SECONDS"
)


def parse_fault(text: str, path: str | None = None) -> Fault:
    """Parses `kind=value`.

    Raises:
        ValueError: the kind or its value is unknown.
    """
    kind, _, value = text.strip().partition("=")
    if kind not in CHECKS or not CHECKS[kind](value):
        raise ValueError(f"unknown fault {text!r}; use {_SYNTAX}")
    return Fault(kind, value, path)


def faults_in(values: Iterable[str]) -> list[Fault]:
    """The comma-separated faults in a request's headers.

    Raises:
        Refusal: 400 for an unknown fault.
    """
    try:
        return [parse_fault(text) for value in values for text in value.split(",")]
    except ValueError as unknown:
        raise bad_request(str(unknown)) from None


def values_of(faults: Iterable[Fault], kind: str) -> list[str]:
    """The values of the faults of one kind."""
    return [fault.value for fault in faults if fault.kind == kind]


class Faults:
    """The faults that later requests will hit."""

    def __init__(self) -> None:
        self._once: list[Fault] = []
        self._always: list[Fault] = []

    def once(self, text: str, *, path: str | None = None) -> None:
        """Adds a fault for the next request to a path, or for the next API call.

        Several faults for the same path apply to one request after the other.

        Raises:
            ValueError: the fault is unknown.
        """
        self._once.append(parse_fault(text, path))

    def always(self, text: str, *, path: str | None = None) -> None:
        """Adds a fault for every request to a path, or for every API call, until `clear`.

        Raises:
            ValueError: the fault is unknown.
        """
        self._always.append(parse_fault(text, path))

    def clear(self) -> None:
        """Removes all faults."""
        self._once.clear()
        self._always.clear()

    def take(self, api_path: ApiPath) -> list[Fault]:
        """The faults of a request for a path; removes the one-time fault among them."""
        hits = [fault for fault in self._always if fault.hits(api_path)]
        first = next((fault for fault in self._once if fault.hits(api_path)), None)
        if first is not None:
            self._once.remove(first)
            hits.append(first)
        return hits
