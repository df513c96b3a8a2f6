"""Whatever the upstream answers, a client gets a whole answer or one that visibly broke off.

What is found goes as a line into `seeds/answers.jsonl`, and stays checked.
"""

import asyncio
from dataclasses import dataclass

import pytest
from fuzz.conftest import Stage
from fuzz.reading import Answer, answers_in
from fuzz.rounds import play, play_long
from fuzz.test_requests import received
from fuzz.words import ANSWER_WORDS, pieces, seeds, speech
from hypothesis import strategies as st
from upstream.raw_server import Side

OURS = {"UPSTREAM_BROKEN": 502, "UPSTREAM_TIMEOUT": 504}
# What a machine that is slow itself tells of the short bounds here, or it tells nothing at all.
UNDER_LOAD = ("OVERLOADED", "UPSTREAM_TIMEOUT")


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and what the upstream says to it.

    Attributes:
        ends: how the upstream's connection ends behind that: `end`, `reset`, or `stay`.
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
CALLS = st.builds(Call, speech(ANSWER_WORDS, seeds("answers")), METHODS, VERSIONS, CUTS, ENDS)


@dataclass(frozen=True, slots=True)
class Saying:
    """The upstream's side: each call gets what is meant for it, any other is told its own name.

    Attributes:
        calls: of the example that plays; connections are kept from one to the next.
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


async def ask(stage: Stage, text: bytes) -> Answer | None:
    """The one answer to a request; None where there is none, or only the beginning of a head."""
    conversation = await stage.front.connect()
    conversation.send(text)
    told, was_reset = await received(conversation)
    found = answers_in(told, was_reset=was_reset, may_be_bodiless=text.startswith(b"HEAD"))
    assert len(found) <= 1
    return found[0] if found else None


def play_calls(stage: Stage, calls: list[Call]) -> list[Answer | None]:
    answers: list[Answer | None] = []

    async def one(number: int, call: Call) -> None:
        answers[number] = await ask(stage, call.text(number))
        # What was left over of that must not become the answer to somebody else.
        text, control = Call(b"").text(number).replace(b"fuzz?", b"control/"), None
        for _ in range(3):
            control = await ask(stage, text)
            if control is not None and control.code not in UNDER_LOAD:
                assert (control.status, control.body) == (200, f"/1.0/me/control/{number}".encode())
                return
        assert control is not None

    async def example() -> None:
        async with asyncio.TaskGroup() as asking:
            for number, call in enumerate(calls):
                asking.create_task(one(number, call))

    answers += [None] * len(calls)
    saying = stage.upstream.scripts[0]
    if isinstance(saying, Saying):
        saying.calls[:] = calls
    else:
        stage.upstream.scripts = [Saying(list(calls))]
    stage.play(example)
    for answer in answers:
        assert answer is None or answer.status != 500 or answer.code is None
        assert answer is None or OURS.get(answer.code or "", answer.status) == answer.status
    return answers


@pytest.mark.parametrize("ends", ["stay", "end", "reset"])
def test_what_was_worth_keeping_is_whole_or_visibly_broken(stage, ends):
    texts, methods = seeds("answers"), ("GET", "HEAD", "POST")

    play_calls(stage, [Call(text, method, ends=ends) for text in texts for method in methods])


def test_whatever_the_upstream_says_nobody_gets_what_is_another_s(stage):
    groups = st.lists(CALLS, min_size=1, max_size=6)

    play(groups, lambda calls: play_calls(stage, calls) and None, examples=12)


@pytest.mark.soak
def test_whatever_the_upstream_says_for_long(stage):
    groups = st.lists(CALLS, min_size=1, max_size=8)

    play_long(groups, lambda calls: play_calls(stage, calls) and None)
