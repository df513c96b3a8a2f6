"""Checks that every response to a client is complete or visibly broken, whatever upstream sends.

Add inputs that fail as lines in `seeds/responses.jsonl`, so that they stay tested.
"""

import asyncio
from dataclasses import dataclass

import pytest
from fuzz.conftest import Harness
from fuzz.examples import run_examples, run_for_a_time
from fuzz.fragments import RESPONSE_FRAGMENTS, fuzzed, pieces, seeds
from fuzz.response_parser import Response, parse_responses
from fuzz.test_requests import received
from hypothesis import strategies as st
from support.raw_server import Side

OURS = {"UPSTREAM_BROKEN": 502, "UPSTREAM_TIMEOUT": 504}
# Errors that a slow machine causes with the short timeouts here.
UNDER_LOAD = ("OVERLOADED", "UPSTREAM_TIMEOUT")


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and the response of the upstream.

    Attributes:
        ends: how the upstream's connection ends afterwards: `end`, `reset`, or `stay`.
    """

    says: bytes
    method: str = "GET"
    version: str = "1.1"
    cuts: tuple[int, ...] = ()
    ends: str = "stay"

    def text(self, number: int) -> bytes:
        target = f"/{'order' if self.method == 'POST' else 'me'}/fuzz?{number}"
        lines = f"Host: localhost\r\nConnection: close\r\n{self.length}\r\n"
        return f"{self.method} {target} HTTP/{self.version}\r\n{lines}".encode()

    @property
    def length(self) -> str:
        return "Content-Length: 0\r\n" if self.method == "POST" else ""


METHODS = st.sampled_from(("GET", "HEAD", "POST"))
VERSIONS = st.sampled_from(("1.1", "1.1", "1.0"))
CUTS = st.lists(st.integers(0, 500), max_size=5).map(tuple)
ENDS = st.sampled_from(("stay", "end", "reset"))
CALLS = st.builds(
    Call, fuzzed(RESPONSE_FRAGMENTS, seeds("responses")), METHODS, VERSIONS, CUTS, ENDS
)


@dataclass(frozen=True, slots=True)
class Script:
    """The upstream: sends each call its scripted response, and returns the target to other calls.

    Attributes:
        calls: the calls of the current example; connections are kept between examples.
    """

    calls: list[Call]

    async def __call__(self, side: Side) -> None:
        while True:
            target = (await side.request()).split(b" ")[1]
            if b"fuzz?" not in target:
                length = b"Content-Length: %d" % len(target)
                await side.send(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + target)
                continue
            call = self.calls[int(target.rpartition(b"?")[2])]
            for piece in pieces(call.says, list(call.cuts)):
                await side.send(piece)
                await asyncio.sleep(0)
            if call.ends != "stay":
                side.reset() if call.ends == "reset" else side.end()
                return


async def ask(harness: Harness, text: bytes) -> Response | None:
    """The response to a request; None if there is none, or only a part of a head."""
    conversation = await harness.proxy_server.connect()
    conversation.send(text)
    raw, was_reset = await received(conversation)
    found = parse_responses(raw, was_reset=was_reset, may_be_bodiless=text.startswith(b"HEAD"))
    assert len(found) <= 1
    return found[0] if found else None


def run_calls(harness: Harness, calls: list[Call]) -> list[Response | None]:
    responses: list[Response | None] = []

    async def one(number: int, call: Call) -> None:
        responses[number] = await ask(harness, call.text(number))
        # Leftover bytes must not become the response to another call.
        text, control = Call(b"").text(number).replace(b"fuzz?", b"control/"), None
        for _ in range(3):
            control = await ask(harness, text)
            if control is not None and control.code not in UNDER_LOAD:
                assert (control.status, control.body) == (200, f"/1.0/me/control/{number}".encode())
                return
        assert control is not None

    async def example() -> None:
        async with asyncio.TaskGroup() as asking:
            for number, call in enumerate(calls):
                asking.create_task(one(number, call))

    responses += [None] * len(calls)
    script = harness.upstream.scripts[0]
    if isinstance(script, Script):
        script.calls[:] = calls
    else:
        harness.upstream.scripts = [Script(list(calls))]
    harness.run(example)
    for response in responses:
        assert response is None or response.status != 500 or response.code is None
        assert response is None or OURS.get(response.code or "", response.status) == response.status
    return responses


@pytest.mark.parametrize("ends", ["stay", "end", "reset"])
def test_responses_to_the_seeds_are_complete_or_visibly_broken(harness, ends):
    texts, methods = seeds("responses"), ("GET", "HEAD", "POST")

    run_calls(harness, [Call(text, method, ends=ends) for text in texts for method in methods])


def test_no_client_gets_the_response_of_another_client(harness):
    groups = st.lists(CALLS, min_size=1, max_size=6)

    run_examples(groups, lambda calls: run_calls(harness, calls) and None, examples=12)


@pytest.mark.soak
def test_upstream_responses_for_a_long_time(harness):
    groups = st.lists(CALLS, min_size=1, max_size=8)

    run_for_a_time(groups, lambda calls: run_calls(harness, calls) and None)
