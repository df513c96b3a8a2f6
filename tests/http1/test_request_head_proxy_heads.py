"""Heads that only proxies accept: CONNECT and absolute form."""

import pytest

from ovh_proxy.core.errors import BadRequest, HeadersTooLarge
from ovh_proxy.core.settings import Limits
from ovh_proxy.http1.request_head import proxy_head

LIMITS = Limits(line_bytes=100, header_bytes=400, headers=5)


@pytest.mark.parametrize(
    ("head", "method", "target", "headers"),
    [
        (
            b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            b"CONNECT",
            b"a:443",
            ((b"Host", b"a:443"),),
        ),
        (b"CONNECT a:443 HTTP/1.0\r\n\r\n", b"CONNECT", b"a:443", ()),
        (
            b"GET http://a/b HTTP/1.1\r\nX: \t c: d \r\nX:\r\nY: XyX\r\n\r\n",
            b"GET",
            b"http://a/b",
            ((b"X", b"c: d"), (b"X", b""), (b"Y", b"XyX")),
        ),
    ],
    ids=["CONNECT", "CONNECT of HTTP/1.0", "absolute form"],
)
def test_a_head_for_a_proxy_is_parsed(head, method, target, headers):
    parsed = proxy_head(head, LIMITS)

    assert (parsed.method, parsed.target, parsed.headers) == (method, target, headers)
    assert parsed.is_http_1_0 is (b"HTTP/1.0" in head)
    assert parsed.with_target(target) == head


@pytest.mark.parametrize(
    "head",
    [
        b"GET /me HTTP/1.1\r\n\r\n",
        b"CONNECT /me HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"TRACE http://a/ HTTP/1.1\r\n\r\n",
        b"GET http://\xc3\xa9/ HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_any_other_head_is_not_a_head_for_a_proxy(head):
    assert proxy_head(head, LIMITS) is None


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"CONNECT a:443 HTTP/1.1\r\nHost : a\r\n\r\n", BadRequest),
        (b"CONNECT a:443 HTTP/1.1\r\n Host: a\r\n\r\n", BadRequest),
        (b"CONNECT a:443 HTTP/1.1\r\n" + b"A: b\r\n" * 6 + b"\r\n", HeadersTooLarge),
        (b"GET http://" + b"a" * 101 + b" HTTP/1.1\r\n\r\n", HeadersTooLarge),
        (b"CONNECT a:443 HTTP/1.1\r\nA: " + b"b" * 400 + b"\r\n\r\n", HeadersTooLarge),
    ],
    ids=["a space", "a fold", "too many", "too long", "too large"],
)
def test_a_head_for_a_proxy_is_checked_like_any_head(head, error):
    with pytest.raises(error):
        proxy_head(head, LIMITS)


def test_a_request_line_that_is_not_the_first_line_is_ignored():
    assert proxy_head(b"?\r\nCONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", LIMITS) is None
