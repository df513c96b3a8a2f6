"""Log lines: one per request, without secrets."""

import io
import json
import re

import pytest

from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.logs import Log
from ovh_proxy.observability.access_log import log_request


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def get(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


@pytest.mark.asyncio
async def test_a_request_is_logged_as_one_json_line(start, upstream):
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nX-Ovh-QueryID: EU.ext-1.abc\r\nContent-Length: 2\r\n\r\nhi"
    )
    proxy_server = await start(level="info")

    answer = await proxy_server.ask(
        b"PUT /@personal/me?a=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
    )

    [line] = proxy_server.log.getvalue().splitlines()
    record = json.loads(line)
    assert record["total_ms"] >= record["upstream_ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    del record["total_ms"], record["upstream_ms"]
    assert record == {
        "level": "info",
        "message": "request",
        "request_id": answer.value("X-Ovh-Proxy-Request-Id"),
        "client": "-",
        "profile": "personal",
        "method": "PUT",
        "path": "/@personal/me?a",
        "status": 200,
        "bytes_in": 3,
        "bytes_out": len(answer.head + answer.body),
        "attempts": 1,
        "query_id": "EU.ext-1.abc",
    }


@pytest.mark.asyncio
async def test_a_request_is_logged_as_one_text_line(start):
    proxy_server = await start(form="text", level="info")

    await proxy_server.ask(get("/me?key=value"))

    [line] = proxy_server.log.getvalue().splitlines()
    assert re.fullmatch(
        r"\S+Z INFO    request request_id=\w{32} client=- profile=personal method=GET path=/me\?key"
        r" status=200 bytes_in=0 bytes_out=\d+ total_ms=[\d.]+ upstream_ms=[\d.]+ attempts=1",
        line,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "target",
    [
        "/me?token=hush",
        "/me?hush",
        "/me?a=b&hush",
        "/me?a=hush&b=hush",
        "/a//b?hush=1",
        "/a//b?x=hush",
        "/me#hush",
        "/-/healthz?x=hush",
        "/@unknown/me?x=hush",
    ],
)
async def test_no_query_value_is_logged(start, form, target):
    proxy_server = await start(form=form)

    await proxy_server.ask(get(target))

    assert (
        len(proxy_server.requests if form == "json" else proxy_server.log.getvalue().splitlines())
        == 1
    )
    assert "hush" not in proxy_server.log.getvalue()


@pytest.mark.asyncio
async def test_no_secret_is_logged_at_any_level(start, upstream):
    proxy_server = await start(level="debug")

    await proxy_server.ask(
        get("/me", "Authorization: Bearer hush", "X-Ovh-Application: hush", "Cookie: a=hush")
    )
    await proxy_server.ask(b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nhush")

    assert len(upstream.requests) == 2
    for secret in ("hush", "MadeUp", "$1$"):
        assert secret not in proxy_server.log.getvalue()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target",
    ["/a%0A2026-01-01T00:00:00Z INFO%20x".replace(" ", "%20"), "/a%1b[31m", '/a"b', "/a\x7fb"],
)
@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_path_cannot_forge_a_log_line_or_control_a_terminal(start, form, target):
    proxy_server = await start(form=form, level="info")

    await proxy_server.ask(get(target))

    text = proxy_server.log.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "query_id", [b"EU x=1 status=500", b"caf\xc3\xa9\xff"], ids=["spaces", "bytes"]
)
async def test_a_query_id_of_upstream_cannot_break_the_line(start, upstream, query_id):
    proxy_server = await start(form="text", level="info")
    upstream.answers(
        b"HTTP/1.1 200 OK\r\nX-Ovh-QueryID: " + query_id + b"\r\nContent-Length: 0\r\n\r\n"
    )

    await proxy_server.ask(get("/me"))

    text = proxy_server.log.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert " status=200 " in text
    assert " status=500" not in re.sub(r'"[^"]*"', "", text)


@pytest.mark.asyncio
async def test_own_routes_are_logged_at_debug(start):
    admin = TcpAddress("127.0.0.1", 0)
    quiet, loud = await start(level="info", admin_listen=admin), await start(admin_listen=admin)

    for proxy_server in (quiet, loud):
        await proxy_server.ask(get("/-/healthz"))
        await proxy_server.ask(get("/-/healthz"), 1)
        await proxy_server.ask(get("/-/unknown"))

    assert quiet.log.getvalue() == ""
    assert [r["level"] for r in loud.requests] == ["debug"] * 3


@pytest.mark.asyncio
async def test_a_rejected_request_is_logged_with_its_code(start, upstream):
    proxy_server = await start(level="info")

    await proxy_server.ask(get("/@unknown/me"))
    await proxy_server.ask(b"garbage\r\n\r\n")

    shown = [(r["status"], r["error"], r["method"], r["path"]) for r in proxy_server.requests]
    assert shown == [
        (404, "UNKNOWN_PROFILE", "GET", "/@unknown/me"),
        (400, "BAD_REQUEST", "-", "-"),
    ]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("text", io.StringIO(), False),
        ("json", Terminal(), True),
    ],
    ids=["terminal", "file", "text", "json"],
)
def test_the_format_depends_on_the_stream_unless_it_is_set(form, stream, is_json):
    log = Log("info", form, stream, now=lambda: 0.0)

    log.write("warning", "it\nhappened", why="a b", count=3, nothing=None)

    line = stream.getvalue()
    if is_json:
        assert json.loads(line) == {
            "time": "1970-01-01T00:00:00.000Z",
            "level": "warning",
            "message": "it\nhappened",
            "why": "a b",
            "count": 3,
        }
    else:
        assert line == '1970-01-01T00:00:00.000Z WARNING it\\x0ahappened why="a b" count=3\n'


@pytest.mark.parametrize("least", ["debug", "info", "warning", "error"])
def test_records_below_the_level_are_not_written(least):
    levels = ["debug", "info", "warning", "error"]
    stream = io.StringIO()
    log = Log(least, "json", stream)

    for level in levels:
        log.write(level, "message")

    written = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert written == levels[levels.index(least) :]


def test_a_closed_log_raises_no_error():
    log = Log("info", "text", ClosedPipe())

    log.write("error", "message")


def test_standard_error_is_the_default(capsys):
    Log("info", "text").write("info", "hello")

    assert "hello" in capsys.readouterr().err


NASTY = 'a"b\\c\u00e9\n'


@pytest.mark.parametrize("code", [None, "ACCESS_DENIED"])
@pytest.mark.parametrize("query_id", [None, NASTY])
def test_the_json_line_of_a_request_equals_that_of_the_json_module(code, query_id):
    stream = io.StringIO()
    exchange = Exchange(1.0, "GET", b'/a"b\\c?k=v')
    exchange.request_id, exchange.client, exchange.profile = NASTY, NASTY, NASTY
    exchange.status, exchange.code, exchange.query_id = 200, code, query_id
    exchange.is_target_read, exchange.upstream_s = True, 0.0123

    log_request(Log("info", "json", stream, now=lambda: 1.25), exchange, 1.5)

    expected = {
        "time": "1970-01-01T00:00:01.250Z",
        "level": "info",
        "message": "request",
        "request_id": NASTY,
        "client": NASTY,
        "profile": NASTY,
        "method": "GET",
        "path": '/a"b\\c?k',
        "status": 200,
        **({"error": code} if code else {}),
        "bytes_in": 0,
        "bytes_out": 0,
        "total_ms": 500.0,
        "upstream_ms": 12.3,
        "attempts": 0,
        **({"query_id": query_id} if query_id else {}),
    }
    assert json.loads(stream.getvalue()) == expected
    assert list(json.loads(stream.getvalue())) == list(expected)
    assert stream.getvalue().count("\n") == 1


def test_each_line_has_its_own_time():
    stream, times = io.StringIO(), iter([59.999, 60.0, 60.5, 59.0])
    log = Log("info", "json", stream, now=lambda: next(times))

    for _ in range(4):
        log.write("info", "hello")

    written = [json.loads(line)["time"][17:] for line in stream.getvalue().splitlines()]
    assert written == ["59.999Z", "00.000Z", "00.500Z", "59.000Z"]
