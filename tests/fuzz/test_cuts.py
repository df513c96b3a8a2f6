"""Checks that a response that is truncated at any byte never looks complete."""

from dataclasses import dataclass

import pytest
from fuzz.conftest import Harness
from fuzz.examples import run_examples, run_for_a_time
from fuzz.response_parser import Response
from fuzz.test_responses import CUTS, VERSIONS, Call, run_calls
from hypothesis import strategies as st

from ovh_proxy.core.settings import Timeouts

FRAMINGS = ("length", "chunks", "end")


@dataclass(frozen=True, slots=True)
class Cut:
    """A good response, truncated after a number of bytes."""

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
        """The number of bytes that are sent."""
        return self.kept % (len(self.whole) + 1)

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are a complete response. Without a length, the end completes it."""
        if self.framing == "end":
            return self.size >= len(self.whole) - len(self.body) and self.ends == "end"
        return self.size == len(self.whole)

    @property
    def came(self) -> bytes:
        """The body of a complete response."""
        if self.framing != "end":
            return self.body
        return self.whole[: self.size].partition(b"\r\n\r\n")[2]

    @property
    def call(self) -> Call:
        says = self.whole[: self.size]
        return Call(says, version=self.version, cuts=self.cuts, ends=self.ends)


@pytest.fixture
def timeouts():
    """The default timeouts. No example stalls, and a loaded machine may be slow."""
    return Timeouts()


CUT_RESPONSES = st.builds(
    Cut,
    st.sampled_from(FRAMINGS),
    st.integers(0, 40) | st.integers(60_000, 150_000),
    # Also count from the end, where a truncation is easy to miss.
    st.integers(0, 300_000) | st.integers(-9, -1),
    st.sampled_from(("end", "reset")),
    VERSIONS,
    CUTS,
)


def check(cut: Cut, response: Response | None) -> None:
    # A reset may discard earlier bytes, so even a complete response may be reported as broken.
    is_broken = response is None or not response.is_whole or response.code == "UPSTREAM_BROKEN"
    if cut.is_whole and not (cut.ends == "reset" and is_broken):
        assert response is not None
        assert (response.status, response.is_whole, response.body) == (200, True, cut.came)
    else:
        assert is_broken


def run_cuts(harness: Harness, cuts: list[Cut]) -> None:
    for cut, response in zip(cuts, run_calls(harness, [cut.call for cut in cuts]), strict=True):
        check(cut, response)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("ends", ["end", "reset"])
def test_a_truncated_response_never_looks_complete(harness, framing, ends):
    size = len(Cut(framing, 5, 0, ends).whole)

    run_cuts(harness, [Cut(framing, 5, kept, ends) for kept in range(size)])


def test_a_truncated_response_of_any_size_never_looks_complete(harness):
    groups = st.lists(CUT_RESPONSES, min_size=1, max_size=6)

    run_examples(groups, lambda cuts: run_cuts(harness, cuts), examples=15)


@pytest.mark.soak
def test_truncated_responses_for_a_long_time(harness):
    groups = st.lists(CUT_RESPONSES, min_size=1, max_size=8)

    run_for_a_time(groups, lambda cuts: run_cuts(harness, cuts))
