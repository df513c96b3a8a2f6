"""A good answer, cut at any byte: what a client takes for whole is whole."""

from dataclasses import dataclass

import pytest
from fuzz.conftest import Stage
from fuzz.reading import Answer
from fuzz.rounds import play, play_long
from fuzz.test_answers import CUTS, VERSIONS, Call, play_calls
from hypothesis import strategies as st

from ovh_proxy.core.settings import Timeouts

FRAMINGS = ("length", "chunks", "end")


@dataclass(frozen=True, slots=True)
class Cut:
    """A good answer, of which so many bytes come."""

    framing: str
    body_bytes: int
    kept: int
    ends: str
    version: str = "1.1"
    cuts: tuple[int, ...] = ()

    @property
    def body(self) -> bytes:
        return (b"0123456789\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" * 5000)[: self.body_bytes]

    @property
    def whole(self) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if self.framing == "length":
            return head + b"Content-Length: %d\r\n\r\n%s" % (len(self.body), self.body)
        if self.framing == "end":
            return head + b"\r\n" + self.body
        middle = len(self.body) // 2
        parts = [part for part in (self.body[:middle], self.body[middle:]) if part]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    @property
    def size(self) -> int:
        """How many bytes of it come."""
        return self.kept % (len(self.whole) + 1)

    @property
    def is_whole(self) -> bool:
        """Whether what comes is a whole answer; without a length, the end makes it one."""
        if self.framing == "end":
            return self.size >= len(self.whole) - len(self.body) and self.ends == "end"
        return self.size == len(self.whole)

    @property
    def came(self) -> bytes:
        """The body of a whole answer."""
        if self.framing != "end":
            return self.body
        return self.whole[: self.size].partition(b"\r\n\r\n")[2]

    @property
    def call(self) -> Call:
        says = self.whole[: self.size]
        return Call(says, version=self.version, cuts=self.cuts, ends=self.ends)


@pytest.fixture
def timeouts():
    """Nothing here stalls, and a machine under load may take its time."""
    return Timeouts()


CUT_ANSWERS = st.builds(
    Cut,
    st.sampled_from(FRAMINGS),
    st.integers(0, 40) | st.integers(60_000, 150_000),
    # Counted from the end as well, where a cut is easily overlooked.
    st.integers(0, 300_000) | st.integers(-9, -1),
    st.sampled_from(("end", "reset")),
    VERSIONS,
    CUTS,
)


def check(cut: Cut, answer: Answer | None) -> None:
    # A reset may overtake what came before it; then even the whole is rightly called broken.
    is_broken = answer is None or not answer.is_whole or answer.code == "UPSTREAM_BROKEN"
    if cut.is_whole and not (cut.ends == "reset" and is_broken):
        assert answer is not None
        assert (answer.status, answer.is_whole, answer.body) == (200, True, cut.came)
    else:
        assert is_broken


def play_cuts(stage: Stage, cuts: list[Cut]) -> None:
    for cut, answer in zip(cuts, play_calls(stage, [cut.call for cut in cuts]), strict=True):
        check(cut, answer)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("ends", ["end", "reset"])
def test_an_answer_cut_anywhere_is_never_taken_for_whole(stage, framing, ends):
    size = len(Cut(framing, 5, 0, ends).whole)

    play_cuts(stage, [Cut(framing, 5, kept, ends) for kept in range(size)])


def test_answers_of_any_size_cut_anywhere_are_never_taken_for_whole(stage):
    groups = st.lists(CUT_ANSWERS, min_size=1, max_size=6)

    play(groups, lambda cuts: play_cuts(stage, cuts), examples=15)


@pytest.mark.soak
def test_answers_cut_for_long(stage):
    groups = st.lists(CUT_ANSWERS, min_size=1, max_size=8)

    play_long(groups, lambda cuts: play_cuts(stage, cuts))
