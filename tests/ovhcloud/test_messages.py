import gzip
import io
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.ovhcloud.messages import (
    NO_BODY,
    Body,
    ResponseHead,
    UpstreamRequest,
    json_body,
    plain,
    read_error,
)

URL = "https://eu.api.ovh.com/1.0/me"


def spooled(text):
    return Body((), len(text), io.BytesIO(text), is_declared=True)


def chunked(*chunks):
    return Body(chunks, sum(map(len, chunks)))


def test_a_body_in_memory_keeps_its_chunks():
    body = chunked(b"a", b"bc", b"")

    assert list(body.pieces()) == [b"a", b"bc", b""]


def test_a_spooled_body_is_read_in_bounded_pieces():
    text = b"0123456789" * 20_000

    pieces = list(spooled(text).pieces())

    assert b"".join(pieces) == text
    assert max(map(len, pieces)) == 65_536


@pytest.mark.parametrize("body", [chunked(b"a", b"bc"), spooled(b"abc"), NO_BODY])
def test_a_body_can_be_read_again_for_a_retry(body):
    first = list(body.pieces())

    again = list(body.pieces())

    assert again == first


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), b""),
        ((b"Keep-Alive",), b"keep-alive"),
        ((b"Keep-Alive", b"X-A, X-B"), b"keep-alive,x-a, x-b"),
        ((b"A", b"B", b"C"), b"a,b,c"),
    ],
)
def test_all_connection_headers_are_joined_in_lower_case(values, expected):
    names = (b"Connection", b"connection", b"CONNECTION")
    lines = tuple(zip(names, values, strict=False))

    head = ResponseHead(200, b"OK", ((b"X-Other", b"Close"), *lines))

    assert head.connection == expected


@given(text=st.binary(max_size=200), size=st.integers(1, 100))
def test_the_start_of_a_body_does_not_depend_on_its_chunks(text, size):
    body = chunked(*(text[at : at + size] for at in range(0, len(text), size)))

    assert body.start() == text[:64]
    assert spooled(text).start() == text[:64]


@pytest.mark.parametrize(
    "body",
    [
        chunked(b"a" * 63, b"bcd", b"e"),
        chunked(b"", b"a" * 63 + b"bcde"),
        spooled(b"a" * 63 + b"bcde"),
    ],
    ids=["chunks", "an empty chunk first", "spooled"],
)
def test_the_start_of_a_body_is_64_bytes(body):
    assert body.start() == b"a" * 63 + b"b"


def test_the_start_of_no_body_is_empty():
    assert NO_BODY.start() == b""


def test_closing_a_body_closes_its_file():
    body = spooled(b"abc")

    body.close()

    assert body.spool.closed


def test_closing_a_body_in_memory_does_nothing():
    body = chunked(b"abc")

    body.close()

    assert list(body.pieces()) == [b"abc"]


def test_with_headers_appends_to_a_new_request():
    outgoing = UpstreamRequest("GET", URL, ((b"A", b"1"),))

    signed = outgoing.with_headers(((b"A", b"2"),))

    assert signed == UpstreamRequest("GET", URL, ((b"A", b"1"), (b"A", b"2")))
    assert outgoing.headers == ((b"A", b"1"),)


@pytest.mark.parametrize(
    ("method", "is_safe"),
    [
        ("GET", True),
        ("HEAD", True),
        ("OPTIONS", True),
        ("POST", False),
        ("PUT", False),
        ("PATCH", False),
        ("DELETE", False),
        ("PURGE", False),
    ],
)
def test_safe_methods(method, is_safe):
    assert UpstreamRequest(method, URL).is_safe is is_safe


def test_a_response_header_is_found_in_any_spelling():
    head = ResponseHead(200, b"OK", ((b"X-OVH-QueryId", b"1"), (b"x-ovh-queryid", b"2")))

    assert head.header(b"x-ovh-queryid") == b"1"
    assert head.header(b"x-other") is None


def test_a_json_body_is_written_as_the_sdks_write_it():
    body = json_body({"message": "tèsté", "ids": [1, None]})

    text = b'{"message":"t\\u00e8st\\u00e9","ids":[1,null]}'
    assert body == Body((text,), len(text), is_declared=True)


TEXT = b'{"message":"no"}' * 100


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (TEXT, None),
        (TEXT, b"identity"),
        (TEXT, b"br"),
        (gzip.compress(TEXT), b"gzip"),
        (gzip.compress(TEXT), b"GZip"),
        (gzip.compress(TEXT), b"x-gzip"),
        (zlib.compress(TEXT), b"deflate"),
    ],
    ids=["none", "identity", "unknown", "gzip", "GZip", "x-gzip", "deflate"],
)
def test_a_body_is_decompressed_up_to_a_limit(body, coding):
    assert plain(body, coding, 10_000) == TEXT
    assert plain(body, coding, 10) == TEXT[:10]


def test_the_beginning_of_a_truncated_body_is_decompressed():
    cut = gzip.compress(TEXT, mtime=0)[:-8]

    assert plain(cut, b"gzip", 10_000) == TEXT


def test_a_body_with_a_wrong_content_coding_is_empty():
    assert plain(TEXT, b"gzip", 10_000) == b""


@pytest.mark.parametrize(
    ("body", "read"),
    [
        pytest.param(
            b'{"errorCode":"INVALID_SIGNATURE","httpCode":"400 Bad Request","message":"Invalid"}',
            ("INVALID_SIGNATURE", "Invalid"),
            id="the old format",
        ),
        pytest.param(
            b'{"class":"Client::Forbidden","message":"not granted","details":{}}',
            (None, "not granted"),
            id="the new format",
        ),
        pytest.param('{"message":"é"}'.encode("utf-16"), (None, "é"), id="UTF-16"),
        pytest.param(b'{"errorCode":7,"message":[]}', (None, None), id="other types"),
        pytest.param(b"{}", (None, None), id="nothing in it"),
        pytest.param(b"[]", (None, None), id="a list"),
        pytest.param(b"null", (None, None), id="null"),
        pytest.param(b"", (None, None), id="empty"),
        pytest.param(b"<html>408</html>", (None, None), id="HTML"),
        pytest.param(b'{"message":"\xe9"}', (None, "\N{REPLACEMENT CHARACTER}"), id="no UTF-8"),
        pytest.param(b"[" * 200_000, (None, None), id="nested too deep"),
    ],
)
def test_an_error_is_read_in_any_format(body, read):
    assert read_error(body) == read


@given(value=st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_json_can_be_read_as_an_error(value):
    assert read_error(json.dumps(value).encode()) == (None, None)


def test_no_body_is_empty_and_not_declared():
    assert (list(NO_BODY.pieces()), NO_BODY.size, NO_BODY.is_declared) == ([], 0, False)


def test_start_reads_only_the_beginning_of_a_large_spool():
    spool = io.BytesIO(b"x" * 200_000)

    start = Body((), 200_000, spool).start()

    assert start == b"x" * 64
    assert spool.tell() == 65_536


@pytest.mark.parametrize(
    "message",
    [
        UpstreamRequest("GET", f"{URL}?password=hunter2"),
        UpstreamRequest("GET", URL, ((b"X-Ovh-Signature", b"hunter2"),)),
        UpstreamRequest("POST", URL, body=Body((b"hunter2",), 7)),
        ResponseHead(200, b"OK", ((b"Set-Cookie", b"hunter2"),)),
    ],
    ids=["query", "signature", "body", "response"],
)
def test_the_repr_of_a_message_shows_no_content(message):
    assert "hunter2" not in repr(message)
