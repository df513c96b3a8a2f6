import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.errors import BadRequest, ExpectationFailed
from ovh_proxy.ovhcloud.messages import ResponseHead
from ovh_proxy.policy.headers import (
    RequestHeaders,
    request_headers,
    response_headers,
    with_content_type,
)


@pytest.mark.parametrize(
    "name",
    [
        b"X-Ovh-Application",
        b"X-Ovh-Consumer",
        b"X-Ovh-Timestamp",
        b"X-Ovh-Signature",
        b"X-Ovh-Proxy-Profile",
        b"X-Ovh-Proxy-Auth",
        b"X-Ovh-Proxy-Request-Id",
        b"X-Ovh-Proxy-Anything",
        b"Authorization",
        b"Proxy-Authorization",
        b"Proxy-Connection",
        b"Proxy-Anything",
        b"Cookie",
        b"Cookie2",
        b"Origin",
        b"Referer",
        b"Forwarded",
        b"X-Forwarded-For",
        b"X-Forwarded-Anything",
        b"Connection",
        b"Keep-Alive",
        b"TE",
        b"Trailer",
        b"Transfer-Encoding",
        b"Upgrade",
        b"HTTP2-Settings",
        b"Host",
        b"Content-Length",
        b"Expect",
        b"X-Ovh-Session",
        b"X-Ovh-Nic",
        b"X-HTTP-Method",
        b"X-HTTP-Method-Override",
        b"X-Method-Override",
        b"X-Original-URL",
        b"X-Rewrite-URL",
        b"X-Real-IP",
        b"X_Ovh_Batch",
        b"X_Ovh_Consumer",
        b"Transfer_Encoding",
        b"X-Anything_Else",
    ],
)
@pytest.mark.parametrize("spelling", [bytes, bytes.lower, bytes.upper], ids=["Aa", "a", "A"])
def test_the_proxy_drops_headers_that_are_private_or_that_it_sets_itself(name, spelling):
    raw = ((b"A", b"1"), (spelling(name), b"x"), (b"B", b"2"))

    assert request_headers(RequestHeaders(raw)) == ((b"A", b"1"), (b"B", b"2"))


FORWARDED = [
    b"Accept",
    b"Accept-Encoding",
    b"User-Agent",
    b"Content-Type",
    b"Content-Encoding",
    b"Cache-Control",
    b"Pragma",
    b"Range",
    b"If-None-Match",
    b"Via",
    b"X-Ovh-Batch",
    b"X-Ovh-Retractation",
    b"X-Pagination-Size",
    b"X-Pagination-Cursor",
    b"X-Schemas-Version",
    b"X-Forwarded",
    b"Proxy",
    b"Sec-Fetch-Site",
    b"Access-Control-Request-Method",
    b"x-Odd.SPELLING!",
]


@pytest.mark.parametrize("name", FORWARDED)
def test_any_other_header_is_forwarded(name):
    raw = ((name, b"x"),)

    assert request_headers(RequestHeaders(raw)) == raw


def test_order_spelling_and_repetition_are_preserved():
    raw = (
        (b"aCCept", b"a/b"),
        (b"X-A", b"1"),
        (b"Accept", b"c/d"),
        (b"x-a", b""),
        (b"X-A", b"caf\xe9 \t x"),
    )

    assert request_headers(RequestHeaders(raw)) == raw


@pytest.mark.parametrize(
    "connection",
    [
        [b"X-Hop"],
        [b"x-hop"],
        [b"close, X-HOP"],
        [b" , ,X-Hop , keep-alive,"],
        [b"close", b"X-Hop"],
        [b"X-Hop", b"close"],
    ],
)
def test_headers_named_in_connection_are_dropped(connection):
    named = tuple((b"Connection", value) for value in connection)
    raw = ((b"X-Hop", b"1"), *named, (b"X-Hop2", b"2"), (b"x-hop", b"3"))

    assert request_headers(RequestHeaders(raw)) == ((b"X-Hop2", b"2"),)


@pytest.mark.parametrize("value", [b"close", b"keep-alive", b"Close", b""])
def test_connection_without_header_names_drops_no_other_header(value):
    raw = ((b"X-Hop", b"1"), (b"Connection", value), (b"X-Hop2", b"2"))

    assert request_headers(RequestHeaders(raw)) == ((b"X-Hop", b"1"), (b"X-Hop2", b"2"))


SINGLE = [
    b"X-Ovh-Batch",
    b"Host",
    b"Content-Length",
    b"Content-Type",
    b"Content-Range",
    b"Content-Location",
    b"Transfer-Encoding",
    b"Authorization",
    b"Proxy-Authorization",
    b"User-Agent",
    b"Referer",
    b"From",
    b"Date",
    b"Max-Forwards",
    b"Range",
    b"If-Range",
    b"If-Modified-Since",
    b"If-Unmodified-Since",
    b"Expect",
    b"Origin",
    b"X-Ovh-Proxy-Profile",
    b"X-Ovh-Proxy-Auth",
]


@pytest.mark.parametrize("name", SINGLE)
def test_a_duplicate_of_a_single_value_header_is_rejected(name):
    with pytest.raises(BadRequest, match=f"duplicate header {name.decode()};"):
        RequestHeaders(((name, b"1"), (b"X-A", b"x"), (name.lower(), b"1")))


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_value_header_may_occur_once(name):
    assert RequestHeaders(((name, b"1"),)).one(name.lower()) == b"1"


@pytest.mark.parametrize("name", [b"Accept", b"If-Match", b"X-Ovh-Application", b"Via", b"Cookie"])
def test_a_list_header_may_occur_twice(name):
    found = RequestHeaders(((name, b"1"), (name.upper(), b"2")))

    assert found.all(name.lower()) == [b"1", b"2"]
    assert found.one(name.lower()) == b"1"


def test_headers_are_found_by_name_in_lower_case():
    found = RequestHeaders(((b"X-A", b"1"), (b"x-B", b"2"), (b"x-a", b"3")))

    assert list(found.names()) == [b"x-a", b"x-b"]
    assert found.one(b"x-c") is None
    assert found.all(b"x-c") == []


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        ((), False),
        (((b"Expect", b"100-continue"),), True),
        (((b"expect", b"100-Continue"),), True),
    ],
    ids=["nothing", "100-continue", "100-Continue"],
)
def test_a_client_may_expect_100_continue(raw, expects):
    assert RequestHeaders(raw).expects_continue() is expects


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, x", b"100-continue;q=1"])
def test_any_other_expect_is_rejected(value):
    with pytest.raises(ExpectationFailed, match="100-continue"):
        RequestHeaders(((b"Expect", value),)).expects_continue()


JSON_TYPE = (b"Content-Type", b"application/json")


@pytest.mark.parametrize(
    "start",
    [
        b"{",
        b'{"a":1}',
        b"[1,2]",
        b'"text"',
        b" \t\r\n{",
        b"0",
        b"42",
        b"-1.5e3",
        b"true",
        b"false\n",
        b" null \r\n",
        b"\xef\xbb\xbf{",
    ],
)
@pytest.mark.parametrize(
    "given_type",
    [
        (),
        ((b"Content-Type", b"application/x-www-form-urlencoded"),),
        ((b"Content-Type", b"Application/X-WWW-Form-Urlencoded"),),
        ((b"Content-Type", b"application/x-www-form-urlencoded; charset=UTF-8"),),
        ((b"Content-Type", b"application/x-www-form-urlencoded ;charset=utf-8"),),
    ],
    ids=["no type", "curl's default", "in capitals", "with a parameter", "with a blank"],
)
def test_a_body_that_starts_like_json_gets_the_json_type(start, given_type):
    assert with_content_type(given_type, start) == (JSON_TYPE,)


@pytest.mark.parametrize(
    "start",
    [b"", b"a=1", b"-", b"--boundary", b"trueish", b"true=1", b"nul", b"<xml/>", b"\x00{", b"\xef"],
)
@pytest.mark.parametrize(
    "raw", [(), ((b"Content-Type", b"application/x-www-form-urlencoded"),)], ids=["none", "curl's"]
)
def test_a_body_that_does_not_start_like_json_keeps_its_type(start, raw):
    assert with_content_type(raw, start) == raw


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"application/json;charset=utf-8",
        b"text/plain",
        b"",
        b"application/x-www-form-urlencoded-x",
        b"multipart/form-data; boundary=application/x-www-form-urlencoded",
    ],
)
def test_an_explicit_content_type_is_preserved(value):
    raw = ((b"content-type", value),)

    assert with_content_type(raw, b"{}") == raw


def test_the_type_is_replaced_in_position_and_spelling():
    raw = ((b"A", b"1"), (b"cOntent-type", b"application/x-www-form-urlencoded"), (b"B", b"2"))

    changed = with_content_type(raw, b"{}")

    assert changed == ((b"A", b"1"), (b"cOntent-type", b"application/json"), (b"B", b"2"))


@pytest.mark.parametrize(
    "name",
    [
        b"Access-Control-Allow-Origin",
        b"access-control-anything",
        b"Set-Cookie",
        b"SET-COOKIE2",
        b"Connection",
        b"Keep-Alive",
        b"Transfer-Encoding",
        b"Trailer",
        b"TE",
        b"Upgrade",
        b"Proxy-Authenticate",
        b"Proxy-Connection",
        b"X-Ovh-Proxy-Error",
        b"X-Ovh-Proxy-Hint",
        b"X-Ovh-Proxy-Request-Id",
    ],
)
def test_response_headers_that_are_not_for_the_client_are_dropped(name):
    raw = ((b"A", b"1"), (name, b"x"), (b"B", b"2"))

    assert response_headers(ResponseHead(200, b"OK", raw)) == ((b"A", b"1"), (b"B", b"2"))


@pytest.mark.parametrize(
    "connection", [b"Content-Length", b"x, CONTENT-LENGTH", b"content-length,x"]
)
def test_connection_cannot_remove_the_length_of_a_response(connection):
    raw = ((b"Connection", connection), (b"Content-Length", b"3"))

    assert response_headers(ResponseHead(200, b"OK", raw)) == ((b"Content-Length", b"3"),)


def test_a_204_has_no_length():
    raw = ((b"content-length", b"5"), (b"A", b"1"))

    assert response_headers(ResponseHead(204, b"", raw)) == ((b"A", b"1"),)


def test_all_other_response_headers_are_forwarded_in_order_and_spelling():
    raw = (
        (b"DATE", b"x"),
        (b"Server", b"OVH"),
        (b"X-OVH-QUERYID", b"EU.ext-3"),
        (b"content-length", b"12"),
        (b"Content-Encoding", b"gzip"),
        (b"Vary", b"a"),
        (b"Vary", b"b"),
        (b"WWW-Authenticate", b"Bearer"),
        (b"X-Iplb-Instance", b"caf\xe9"),
    )

    assert response_headers(ResponseHead(200, b"OK", raw)) == raw


def test_response_headers_named_in_connection_are_dropped():
    raw = ((b"X-Hop", b"1"), (b"connection", b"close, x-hop"), (b"X-End", b"2"))

    assert response_headers(ResponseHead(200, b"OK", raw)) == ((b"X-End", b"2"),)


@pytest.mark.parametrize("count", range(4))
def test_any_number_of_response_headers_can_be_forwarded(count):
    forwarded = tuple((b"X-%d" % number, b"1") for number in range(count))

    head = ResponseHead(200, b"OK", ((b"Set-Cookie", b"a=1"), *forwarded))

    assert response_headers(head) == forwarded


@given(
    raw=st.lists(
        st.tuples(
            st.sampled_from([*FORWARDED, b"Cookie", b"Connection", b"TE", b"X-Ovh-Consumer"]),
            st.binary(max_size=8),
        ),
        unique_by=lambda field: field[0],
    )
)
def test_forwarded_headers_are_a_selection_in_order(raw):
    forwarded = request_headers(RequestHeaders(tuple(raw)))

    rest = iter(raw)
    assert all(field in rest for field in forwarded)
