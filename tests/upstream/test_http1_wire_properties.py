from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.upstream.http1 import MalformedResponse, ResponseParser

# Valid and invalid tokens of HTTP, so that random bytes get past the status line.
WORDS = (
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2.0 ", b"200 OK\r\n", b"204 No\r\n", b"304 No\r\n"),
    *(b"100 C\r\n", b"103 E\r\n", b"101 S\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"X: \xff\r\n", b" fold\r\n"),
    *(b"\r\n", b"\n", b"\r", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\n", b"5;x=y\r\n", b"abc", b"\0"),
    *(b"Upgrade: h2c\r\n", b"Connection: upgrade\r\n", b":", b" "),
)
SPEECH = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=14).map(b"".join)
METHODS = st.sampled_from(("GET", "HEAD", "POST"))


@dataclass(frozen=True)
class Outcome:
    """The outcome of parsing some bytes."""

    status: int | None
    body: bytes
    is_complete: bool
    is_reusable: bool
    is_broken: bool


def outcome(method: str, parts: list[bytes]) -> Outcome:
    """Feeds all parts; propagates any exception except `MalformedResponse`."""
    reader = ResponseParser(method)
    is_broken = False
    try:
        for part in parts:
            reader.feed(memoryview(part))
    except MalformedResponse:
        is_broken = True
    status = reader.head.status if reader.head is not None else None
    return Outcome(
        status, b"".join(reader.pieces), reader.is_complete, reader.is_reusable, is_broken
    )


def split(text: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % len(text) for cut in cuts}) if text else []
    edges = [0, *places, len(text)]
    return [text[a:b] for a, b in pairwise(edges) if a < b]


@given(method=METHODS, text=SPEECH, cuts=st.lists(st.integers(0, 500), max_size=12))
def test_any_bytes_are_parsed_the_same_however_they_are_split(
    method: str, text: bytes, cuts: list[int]
) -> None:
    whole = outcome(method, [text] if text else [])

    cut = outcome(method, split(text, cuts))

    assert cut == whole


@given(method=METHODS, text=SPEECH)
def test_an_invalid_response_is_neither_complete_nor_reusable(method: str, text: bytes) -> None:
    result = outcome(method, split(text, list(range(len(text)))))

    assert not (result.is_broken and (result.is_complete or result.is_reusable))


@given(
    method=METHODS,
    framing=st.sampled_from(("length", "chunks", "empty", "204", "304")),
    interim=st.integers(0, 2),
    # Line ends alone are harmless: this parser skips them, and so would the next.
    excess=st.binary(min_size=1, max_size=40).filter(lambda text: text.strip(b"\r\n") != b"")
    | SPEECH.filter(lambda text: text.strip(b"\r\n") != b""),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_a_connection_with_bytes_after_its_response_is_never_reused(
    method: str, framing: str, interim: int, excess: bytes, cuts: list[int]
) -> None:
    head = {
        "length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "204": b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n",
        "304": b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    }[framing]
    body = {"length": b"abc", "chunks": b"3\r\nabc\r\n0\r\n\r\n"}.get(framing, b"")
    whole = b"HTTP/1.1 103 E\r\n\r\n" * interim + head + (b"" if method == "HEAD" else body)

    result = outcome(method, split(whole + excess, cuts))

    assert result.is_complete
    assert not result.is_reusable


@pytest.mark.parametrize("follower", [b"\r\n", b"\n", b"\r\n\r\n"], ids=repr)
def test_line_ends_after_a_response_are_skipped(follower: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"

    result = outcome("GET", [response + follower])

    assert result == Outcome(200, b"a", is_complete=True, is_reusable=True, is_broken=False)
