"""Checks of a request's head, framing and trailer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.errors import BadRequest, BadTarget, HeadersTooLarge, MethodRefused
from ovh_proxy.core.settings import Limits
from ovh_proxy.http1.request_head import (
    MAX_TRAILER_BYTES,
    check_framing,
    check_head,
    check_start,
    check_trailer,
)

LIMITS = Limits(line_bytes=100, header_bytes=400, headers=5)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /me HTTP/1.1\r\nHost: a\r\n\r\n", id="plain"),
        pytest.param(b"GET /me HTTP/1.0\r\n\r\n", id="1.0 without headers"),
        pytest.param(b"POST /me?a=b HTTP/1.1\r\nA:b\r\nC: \t d\te\r\nE:\r\n\r\n", id="spaces"),
        pytest.param(b"GET / HTTP/1.1\r\nX!#$%&'*+-.^_`|~9: caf\xe9\r\n\r\n", id="odd header"),
        pytest.param(b"M-SEARCH / HTTP/1.1\r\n\r\n", id="a hyphen in the method"),
        pytest.param(b"FOO / HTTP/1.1\r\n\r\n", id="a method for the parser to know"),
        pytest.param(b"GET /" + b"a" * 99 + b" HTTP/1.1\r\n\r\n", id="a target at the limit"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5 + b"\r\n", id="headers at the limit"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 377 + b"\r\n\r\n", id="bytes at the limit"),
    ],
)
def test_a_well_formed_head_passes(head):
    assert check_head(head, LIMITS) is None


MALFORMED_LINES = [
    b"get / HTTP/1.1",
    b"Get / HTTP/1.1",
    b"1GET / HTTP/1.1",
    b"G\xc3\x89T / HTTP/1.1",
    b"A" * 34 + b" / HTTP/1.1",
    b" GET / HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET\t/\tHTTP/1.1",
    b"GET / b HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
    b"GET /\x7f HTTP/1.1",
    b"GET / HTTP/1.2",
    b"GET / HTTP/2.0",
    b"GET / HTTP/0.9",
    b"GET / HTTP/1.10",
    b"GET / HTTP/1",
    b"GET / http/1.1",
    b"GET / RTSP/1.1",
    b"PRI * HTTP/2.0",
    b"GET /",
    b"GET",
    b"",
]


@pytest.mark.parametrize("line", MALFORMED_LINES)
def test_a_malformed_request_line_is_rejected_with_a_fixed_text(line):
    with pytest.raises(BadRequest) as refused:
        check_head(line + b"\r\nHost: a\r\n\r\n", LIMITS)

    assert str(refused.value) == "the request line is not METHOD /target HTTP/1.1"


def test_a_tls_handshake_on_a_plain_listener_is_recognized():
    with pytest.raises(BadRequest, match="expects plain HTTP, but the client started TLS"):
        check_start(b"\x16\x03\x01\x02\x00\x01", LIMITS)


@pytest.mark.parametrize(
    "field",
    [
        b"Host",
        b"Host : a",
        b" Host: a",
        b": a",
        b"A: b\r\n c",
        b"A: b\r\n\tc",
        b"A: b\nC: d",
        b"A: b\rC: d",
        b"A: \x00",
        b"A: \x7f",
        b"A: \x0b",
        b"A B: c",
        b"A(B): c",
        b"caf\xe9: a",
        b"A: b\n",
    ],
)
def test_a_malformed_header_line_is_rejected_and_not_echoed(field):
    with pytest.raises(BadRequest) as refused:
        check_head(b"GET / HTTP/1.1\r\n" + field + b"\r\n\r\n", LIMITS)

    assert str(refused.value) == "a header line is malformed"


def test_nothing_follows_the_empty_line():
    with pytest.raises(BadRequest, match="malformed"):
        check_head(b"GET / HTTP/1.1\r\n\r\nA: b\r\n\r\n", LIMITS)


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
@pytest.mark.parametrize("target", [b"/", b"eu.api.ovh.com:443", b"*"])
def test_connect_and_trace_are_rejected_whatever_their_target(method, target):
    with pytest.raises(MethodRefused) as refused:
        check_head(method + b" " + target + b" HTTP/1.1\r\n\r\n", LIMITS)

    assert str(refused.value) == f"{method.decode()} is not forwarded"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (b"*", "not a path"),
        (b"http://eu.api.ovh.com/1.0/me", "not a path"),
        (b"me", "not a path"),
        (b"/caf\xc3\xa9", "percent-encode"),
        (b"/?caf\xe9", "percent-encode"),
    ],
)
def test_a_target_in_another_form_is_rejected(target, why):
    with pytest.raises(BadTarget, match=why):
        check_head(b"OPTIONS " + target + b" HTTP/1.1\r\n\r\n", LIMITS)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        pytest.param(b"GET /" + b"a" * 100 + b" HTTP/1.1\r\n\r\n", "target is longer", id="target"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 6 + b"\r\n", "more than 5", id="count"),
        pytest.param(
            b"GET / HTTP/1.1\r\nA: " + b"b" * 378 + b"\r\n\r\n", "head is larger", id="bytes"
        ),
    ],
)
def test_a_head_above_a_limit_is_rejected(head, why):
    with pytest.raises(HeadersTooLarge, match=why):
        check_head(head, LIMITS)


WHOLE = b"POST /me?caf=%C3%A9 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("size", range(1, len(WHOLE)))
def test_every_prefix_of_a_head_is_accepted(size):
    assert check_start(WHOLE[:size], LIMITS) is None


@pytest.mark.parametrize(
    "start",
    [
        b"g",
        b"\n",
        b"\x00",
        b"SSH-2.0-client",
        b"GET\t",
        b"GET  /",
        b"GET /\x00",
        b"GET / F",
        b"GET / HTTPS",
        b"A" * 33,
        *(line + b"\r\n" for line in MALFORMED_LINES if line),
        b"GET / HTTP/1.1\n",
        b"\n" + b"A" * 200,
    ],
)
def test_a_prefix_that_cannot_become_a_head_is_rejected_at_once(start):
    with pytest.raises(BadRequest, match="the request line is not"):
        check_start(start, LIMITS)


@pytest.mark.parametrize(
    ("start", "why"),
    [
        pytest.param(b"GET /" + b"a" * 160, "target is longer", id="no end of the target"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 382, "head is larger", id="no end"),
    ],
)
def test_a_prefix_above_a_limit_is_rejected(start, why):
    with pytest.raises(HeadersTooLarge, match=why):
        check_start(start, LIMITS)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET /" + b"a" * 159, id="no end of the target"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 381, id="no end"),
    ],
)
def test_a_prefix_at_a_limit_is_accepted(start):
    assert check_start(start, LIMITS) is None


def test_the_size_of_a_prefix_is_checked_first():
    with pytest.raises(HeadersTooLarge):
        check_start(b"\x00" * 401, LIMITS)


VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)


@given(method=st.sampled_from(["GET", "M-SEARCH", "X_1"]), target=VISIBLE, value=VISIBLE)
def test_no_prefix_of_a_valid_head_is_rejected(method, target, value):
    head = f"{method} /{target} HTTP/1.1\r\nX-A: {value}\r\n\r\n".encode()

    check_head(head, LIMITS)

    for size in range(1, len(head)):
        check_start(head[:size], LIMITS)


@pytest.mark.parametrize(
    ("minor", "coding", "length"),
    [
        (1, None, None),
        (0, None, None),
        (1, None, "0"),
        (0, None, "12"),
        (1, None, "9" * 19),
        (1, "chunked", None),
        (1, "Chunked", None),
    ],
)
def test_unambiguous_framing_is_accepted(minor, coding, length):
    assert check_framing(minor, coding, length) is None


@pytest.mark.parametrize(
    ("minor", "coding", "length", "why"),
    [
        (1, "", None, "use chunked"),
        (1, "gzip", None, "use chunked"),
        (1, "gzip, chunked", None, "use chunked"),
        (1, "chunked, chunked", None, "use chunked"),
        (1, "xchunked", None, "use chunked"),
        (1, "identity", None, "use chunked"),
        (1, "chunked", "2", "not both"),
        (0, "chunked", None, r"HTTP/1\.0"),
        (1, None, "", "not a number"),
        (1, None, "+2", "not a number"),
        (1, None, "-2", "not a number"),
        (1, None, "2, 2", "not a number"),
        (1, None, "0x2", "not a number"),
        (1, None, "1_0", "not a number"),
        (1, None, "²", "not a number"),
        (1, None, "9" * 20, "not a number"),
    ],
)
def test_ambiguous_framing_is_rejected(minor, coding, length, why):
    with pytest.raises(BadRequest, match=why):
        check_framing(minor, coding, length)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"0\r\n\r\n", id="no body and no trailer"),
        pytest.param(b"5\r\nhello\r\n0\r\n\r\n", id="no trailer"),
        pytest.param(b"\n000 \t\r\n\r\n", id="several zeros and spaces"),
        pytest.param(b"\n0;a=b:c\r\n\r\n", id="a chunk extension"),
        pytest.param(b"\n0\r\nX-Sum: 1\r\nExpires:\r\n\r\n", id="harmless fields"),
        pytest.param(b"\n0\r\nX-Host: a\r\n\r\n", id="a field that ends alike"),
        pytest.param(b"a\r\nHost: b\r\n\r\n\r\n0\r\n\r\n", id="a field within the body"),
        pytest.param(b"7\r\n0\r\nTE:x\r\n0\r\n\r\n", id="a trailer within the body"),
    ],
)
def test_a_harmless_trailer_is_accepted(end):
    assert check_trailer(end) is None


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Trailer",
        b"Connection",
        b"TE",
        b"Expect",
        b"Upgrade",
        b"Authorization",
        b"Cookie",
        b"Origin",
        b"X-Ovh-Consumer",
        b"X-OVH-Proxy-Profile",
    ],
)
@pytest.mark.parametrize("before", [b"", b"X-Sum: 1\r\n"], ids=["first", "second"])
def test_fields_that_belong_in_the_head_are_rejected_in_a_trailer(name, before):
    with pytest.raises(BadRequest, match="trailer"):
        check_trailer(b"a\r\n0\r\n" + before + name + b": x\r\n\r\n")


def test_a_trailer_whose_start_is_not_visible_is_rejected():
    whole = b"0\r\nX-Sum: " + b"1" * MAX_TRAILER_BYTES + b"\r\n\r\n"

    with pytest.raises(BadRequest, match="longer than 4096 bytes"):
        check_trailer(whole[-MAX_TRAILER_BYTES:])
