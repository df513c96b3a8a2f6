import gzip
import json

import pytest
from conformance.httpbin_routes import REQUESTS, Request, Response, differences

ORIGINS = "http://127.0.0.1:1", "http://127.0.0.1:2"
PLAIN = Response(200, "OK", (("Content-Type", "text/plain"),), b"text")


def echo(rest: dict[str, object], **headers: str) -> Response:
    body = json.dumps({"headers": headers, **rest}, indent=2).encode()
    return Response(200, "OK", (("Content-Length", str(len(body))),), body)


@pytest.mark.parametrize(
    ("direct", "through", "expected"),
    [
        (PLAIN, PLAIN, []),
        (PLAIN, Response(502, "OK", PLAIN.headers, b"text"), ["status 502, not 200"]),
        (PLAIN, Response(200, "Ok", PLAIN.headers, b"text"), ["reason `Ok`, not `OK`"]),
        (PLAIN, Response(200, "OK", PLAIN.headers, b"other"), ["different body"]),
        (PLAIN, Response(200, "OK", (), b"text"), ["- Content-Type"]),
        (
            PLAIN,
            Response(200, "OK", (("content-type", "a"), ("X-A", "1")), b"text"),
            ["+ X-A", "changed Content-Type"],
        ),
        (PLAIN, Response(200, "OK", (*PLAIN.headers, ("Connection", "close")), b"text"), []),
        (
            Response(302, "-", (("Location", "/x"),), b""),
            Response(302, "-", (("Location", f"{ORIGINS[1]}/x"),), b""),
            [],
        ),
        (
            Response(302, "-", (("Location", "/x"),), b""),
            Response(302, "-", (("Location", "/y"),), b""),
            ["changed Location"],
        ),
        (echo({"url": "a", "args": 1}, Host="a"), echo({"url": "b", "args": 1}, Host="bcd"), []),
        (echo({"args": 1}), echo({"args": 2}), ["different body"]),
        (echo({}, Cookie="a"), echo({}, Proof="b"), ["- Cookie upstream", "+ Proof upstream"]),
    ],
    ids=[
        *("identical", "status", "reason", "body", "removed", "added and changed", "hop-by-hop"),
        *("same location", "other location", "route", "different echo", "headers upstream"),
    ],
)
def test_differences_are_reported(direct, through, expected):
    assert differences(direct, through, ORIGINS) == expected


def test_an_echo_is_decoded_before_it_is_compared():
    coding = (("Content-Encoding", "gzip"),)
    direct, through = (
        Response(200, "OK", coding, gzip.compress(echo({}, Host=host).body)) for host in ("a", "b")
    )

    assert differences(direct, through, ORIGINS) == []


def test_a_broken_content_coding_is_a_different_body():
    coding = (("Content-Encoding", "gzip"),)
    direct = Response(200, "OK", coding, gzip.compress(echo({}).body))

    through = Response(200, "OK", coding, direct.body[:-4])

    assert differences(direct, through, ORIGINS) == ["different body"]


def test_every_request_has_a_unique_name():
    names = [request.name for request in REQUESTS]

    assert len(set(names)) == len(names)
    assert Request("/a", "POST", (("A", "b"),), b"cd", True).name == (
        "POST /a (A: b, chunked, 2 bytes)"
    )
