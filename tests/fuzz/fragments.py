"""Fuzz input: valid and invalid HTTP fragments, and mutated messages from other test suites."""

import json
from pathlib import Path

from hypothesis import strategies as st

_HERE = Path(__file__).parent
_CORPUS = _HERE.parent / "data" / "raw_requests.jsonl"

REQUEST_FRAGMENTS = (
    *(b"GET /me HTTP/1.1\r\n", b"GET /me/bill?a=1&b HTTP/1.1\r\n", b"HEAD /me HTTP/1.1\r\n"),
    *(b"POST /order/x HTTP/1.1\r\n", b"PUT /order/x HTTP/1.1\r\n", b"DELETE /me HTTP/1.1\r\n"),
    *(b"GET /me HTTP/1.0\r\n", b"GET http://localhost/me HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n"),
    *(b"GET /order/../me HTTP/1.1\r\n", b"GET /me%2f..%2fcloud HTTP/1.1\r\n", b"get /me HTTP/1.1"),
    *(b"GET /-/readyz HTTP/1.1\r\n", b"GET /@other/me HTTP/1.1\r\n", b"TRACE /me HTTP/1.1\r\n"),
    *(b"Host: localhost\r\n", b"Host: evil.example\r\n", b"Host:\r\n", b"host: localhost \r\n"),
    *(b"Content-Length: 2\r\n", b"Content-Length: 0\r\n", b"Content-Length: +2\r\n"),
    *(b"Content-Length: 2, 2\r\n", b"Content-Length: 99999999999999999999\r\n", b"A: b\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(b"Transfer-Encoding: \x0bchunked\r\n", b"Transfer-Encoding:\r\n", b"TE: trailers\r\n"),
    *(b"Expect: 100-continue\r\n", b"Expect: all\r\n", b"Connection: close\r\n"),
    *(b"Connection: keep-alive, x-ovh-batch\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n"),
    *(b"X-Ovh-Application: mine\r\n", b"X-Ovh-Signature: $1$mine\r\n", b"X-Ovh-Batch: ,\r\n"),
    *(b"Authorization: Basic eDp5\r\n", b"Cookie: a=b\r\n", b"Origin: http://evil.example\r\n"),
    *(b"X-Ovh-Proxy-Profile: personal\r\n", b"X-Ovh-Proxy-Profile: none\r\n", b" fold\r\n"),
    *(b"X-Ovh-Proxy-Auth: all\r\n", b"X: \xff\xfe\r\n", b"X : y\r\n", b"X: a\nY: b\r\n", b"X\r\n"),
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"{}",
        b"2\r\n{}\r\n",
        b"0\r\n\r\n",
        b"0\r\nA: b\r\n\r\n",
    ),
    *(
        b"0\r\nHost: b\r\n\r\n",
        b"-1\r\n",
        b"2;x=y\r\n{}\r\n",
        b"00002\r\n{}\r\n",
        b"ffffffffffffff\r\n",
    ),
    *(b"\0", b" ", b":", b"\x16\x03\x01\x02", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"%"),
)
RESPONSE_FRAGMENTS = (
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2.0 ", b"200 OK\r\n", b"204 No\r\n", b"304 No\r\n"),
    *(b"400 Bad\r\n", b"403 No\r\n", b"503 -\r\n", b"307 T\r\nLocation: /1.0/me\r\n", b"999 X\r\n"),
    *(b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 103 E\r\nA: b\r\n\r\n", b"101 S\r\nUpgrade: a\r\n"),
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    *(b"Content-Length: 3\r\n", b"Content-Length: -3\r\n", b"Content-Length: 9999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Trailer: X-T\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Keep-Alive: timeout=1\r\n"),
    *(
        b"X: \xff\r\n",
        b" fold\r\n",
        b"X : y\r\n",
        b"Set-Cookie: a=b\r\n",
        b"X-Ovh-Proxy-Error: A\r\n",
    ),
    *(b"Content-Encoding: gzip\r\n", b"Content-Type: application/json\r\n", b"X: a\rb\r\n"),
    *(b"\r\n", b"\n", b"\r", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\n", b"5;x=y\r\n", b"abc", b"\0"),
    *(b"A: " + b"b" * 9000 + b"\r\n", b'{"errorCode":"INVALID_KEY"}', b"ffffffffffffffffff\r\n"),
)


def seeds(kind: str) -> list[bytes]:
    """The stored inputs: `requests` or `responses`."""
    return _texts(_HERE / "seeds" / f"{kind}.jsonl")


def expected_statuses() -> list[list[int]]:
    """The expected statuses of the stored requests."""
    lines = (_HERE / "seeds" / "requests.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["statuses"] for line in lines]


def _texts(file: Path) -> list[bytes]:
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line)["raw"].encode("latin-1") for line in lines]


def corpus() -> list[bytes]:
    """Requests from the test suites of other parsers, with a Host added if there is none."""
    texts = _texts(_CORPUS)
    short = [text for text in texts if len(text) < 2000]
    return [
        text if b"host:" in text.lower() else text.replace(b"\r\n", b"\r\nHost: localhost\r\n", 1)
        for text in short
    ]


def fuzzed(fragments: tuple[bytes, ...], texts: list[bytes]) -> st.SearchStrategy[bytes]:
    """A strategy for messages: fragments in any order, or a text with a few mutations."""
    word = st.sampled_from(fragments)
    free = st.lists(word | st.binary(max_size=3), max_size=12).map(b"".join)
    mutations = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 12), word | st.just(b"")))
    return free | st.builds(
        mutated, st.sampled_from(texts), mutations.filter(lambda all_: len(all_) < 4)
    )


def mutated(text: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """The text with bytes removed and inserted at each position."""
    for position, size, word in mutations:
        start = position % (len(text) + 1)
        text = text[:start] + word + text[start + size :]
    return text


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    """The text, split at the cuts."""
    positions = sorted({cut % len(text) for cut in cuts} - {0}) if text else []
    return [
        text[a:b] for a, b in zip([0, *positions], [*positions, len(text)], strict=True) if a < b
    ]
