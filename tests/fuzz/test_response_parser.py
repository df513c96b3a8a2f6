"""Tests of the response parser that the fuzz tests use."""

import pytest
from fuzz.response_parser import parse_responses

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.mark.parametrize(
    ("text", "was_reset", "expected"),
    [
        (b"", False, []),
        (LENGTH + CHUNKED, False, [(b"ok", True), (b"ok", True)]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH, False, [(b"ok", True)]),
        (LENGTH[:-1], False, [(b"o", False)]),
        (CHUNKED[:-2], False, [(b"ok", False)]),
        (CHUNKED[:-7], False, [(b"ok", False)]),
        (UNTIL_END, False, [(b"ok", True)]),
        (UNTIL_END, True, [(b"ok", False)]),
        (LENGTH + b"HTTP/1.1 2", True, [(b"ok", True)]),
        (b"HTTP/1.1 204 No\r\nA: b\r\n\r\n" + LENGTH, False, [(b"", True), (b"ok", True)]),
    ],
)
def test_complete_and_partial_responses_are_parsed(text, was_reset, expected):
    found = parse_responses(text, was_reset=was_reset)

    assert [(response.body, response.is_whole) for response in found] == expected


def test_a_response_to_head_may_have_a_length_without_a_body():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

    found = parse_responses(head + LENGTH, was_reset=False, may_be_bodiless=True)

    assert [response.body for response in found] == [b"", b"ok"]


@pytest.mark.parametrize(
    "text",
    [
        b"garbage",
        LENGTH + b"garbage",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        CHUNKED.replace(b"ok\r\n", b"okk\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
    ],
)
def test_an_invalid_response_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_responses(text, was_reset=False)
