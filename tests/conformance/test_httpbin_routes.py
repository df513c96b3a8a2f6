import gzip
import json

import pytest
from conformance.httpbin_routes import ASKS, Ask, Told, differences

ORIGINS = "http://127.0.0.1:1", "http://127.0.0.1:2"
PLAIN = Told(200, "OK", (("Content-Type", "text/plain"),), b"text")


def echo(rest: dict[str, object], **headers: str) -> Told:
    body = json.dumps({"headers": headers, **rest}, indent=2).encode()
    return Told(200, "OK", (("Content-Length", str(len(body))),), body)


@pytest.mark.parametrize(
    ("direct", "through", "expected"),
    [
        (PLAIN, PLAIN, []),
        (PLAIN, Told(502, "OK", PLAIN.headers, b"text"), ["status 502, not 200"]),
        (PLAIN, Told(200, "Ok", PLAIN.headers, b"text"), ["reason `Ok`, not `OK`"]),
        (PLAIN, Told(200, "OK", PLAIN.headers, b"other"), ["another body"]),
        (PLAIN, Told(200, "OK", (), b"text"), ["- Content-Type"]),
        (
            PLAIN,
            Told(200, "OK", (("content-type", "a"), ("X-A", "1")), b"text"),
            ["+ X-A", "changed Content-Type"],
        ),
        (PLAIN, Told(200, "OK", (*PLAIN.headers, ("Connection", "close")), b"text"), []),
        (
            Told(302, "-", (("Location", "/x"),), b""),
            Told(302, "-", (("Location", f"{ORIGINS[1]}/x"),), b""),
            [],
        ),
        (
            Told(302, "-", (("Location", "/x"),), b""),
            Told(302, "-", (("Location", "/y"),), b""),
            ["changed Location"],
        ),
        (echo({"url": "a", "args": 1}, Host="a"), echo({"url": "b", "args": 1}, Host="bcd"), []),
        (echo({"args": 1}), echo({"args": 2}), ["another body"]),
        (echo({}, Cookie="a"), echo({}, Proof="b"), ["- Cookie upstream", "+ Proof upstream"]),
    ],
    ids=[
        *("the same", "status", "reason", "body", "gone", "new and changed", "of the hop"),
        *("the same page", "another page", "the way", "echoed otherwise", "headers upstream"),
    ],
)
def test_what_is_not_the_same_is_told(direct, through, expected):
    assert differences(direct, through, ORIGINS) == expected


def test_an_echo_is_read_through_its_coding():
    coding = (("Content-Encoding", "gzip"),)
    direct, through = (
        Told(200, "OK", coding, gzip.compress(echo({}, Host=host).body)) for host in ("a", "b")
    )

    assert differences(direct, through, ORIGINS) == []


def test_a_coding_that_was_broken_on_the_way_is_another_body():
    coding = (("Content-Encoding", "gzip"),)
    direct = Told(200, "OK", coding, gzip.compress(echo({}).body))

    through = Told(200, "OK", coding, direct.body[:-4])

    assert differences(direct, through, ORIGINS) == ["another body"]


def test_every_request_has_a_name_of_its_own():
    names = [ask.name for ask in ASKS]

    assert len(set(names)) == len(names)
    assert Ask("/a", "POST", (("A", "b"),), b"cd", True).name == (
        "POST /a (A: b, chunked, 2 bytes)"
    )
