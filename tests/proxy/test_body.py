"""Request bodies: in memory, then on disk, then rejected."""

import asyncio
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from ovh_proxy.core.errors import BodyTooLarge, Overloaded
from ovh_proxy.core.settings import Limits, Timeouts
from ovh_proxy.limits.concurrency import ConcurrencyLimiter, Permit
from ovh_proxy.proxy.body import BodyLimits, check_length, read_body

HEAD = "Host: localhost"


@pytest.fixture
def payload_of():
    """Makes a body as the parser provides it."""

    def make(*pieces: bytes) -> StreamReader:
        loop = asyncio.get_running_loop()
        payload = StreamReader(BaseProtocol(loop), 2**20, loop=loop)
        for piece in pieces:
            payload.feed_data(piece)
        payload.feed_eof()
        return payload

    return make


@pytest.fixture
def no_temporary_directory(tmp_path, monkeypatch):
    """A machine without a writable temporary directory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))


@contextmanager
def tiny_disk():
    """Limits files to 50 bytes, as on a full disk; pytest's own output may be one of them."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 4000])
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
async def test_a_body_is_forwarded_byte_for_byte_wherever_it_is_buffered(
    start, upstream, size, is_chunked
):
    proxy_server = await start(limits=Limits(body_bytes=4000, memory_body_bytes=1000))
    body = os.urandom(size)
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % size
    head = b"PUT /me HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n"

    answer = await proxy_server.ask(head + (chunked(body) if is_chunked else body))

    assert answer.status == 200
    assert upstream.requests[0].body == body
    assert upstream.requests[0].values("Content-Length") == [str(size)]


@pytest.mark.asyncio
async def test_a_large_body_is_in_a_private_file_without_a_name(payload_of, tmp_path, monkeypatch):
    # Used by this test only: other tests use the system's directory at the same time.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    payload = payload_of(b"a" * 600, b"b" * 600)

    body = await read_body(
        payload,
        True,
        BodyLimits(Limits(memory_body_bytes=1000), Timeouts(), Permit(ConcurrencyLimiter())),
        None,
    )

    assert body.spool is not None
    status = os.fstat(body.spool.fileno())
    assert (status.st_nlink, stat.S_IMODE(status.st_mode), status.st_size) == (0, 0o600, 1200)
    assert os.listdir(tmp_path) == []
    assert b"".join(body.pieces()) == b"a" * 600 + b"b" * 600
    body.close()


@pytest.mark.asyncio
async def test_a_small_body_stays_in_memory(payload_of):
    body = await read_body(
        payload_of(b"a" * 1000),
        True,
        BodyLimits(Limits(memory_body_bytes=1000), Timeouts(), Permit(ConcurrencyLimiter())),
        None,
    )

    assert (body.spool, body.size) == (None, 1000)


@pytest.mark.asyncio
async def test_a_spool_file_is_closed_when_the_body_turns_out_too_large(payload_of):
    payload = payload_of(b"a" * 600, b"b" * 600, b"c" * 600)
    held = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0

    with pytest.raises(BodyTooLarge):
        await read_body(
            payload,
            True,
            BodyLimits(Limits(1500, 1000), Timeouts(), Permit(ConcurrencyLimiter())),
            None,
        )

    assert not held or len(os.listdir("/proc/self/fd")) <= held


@pytest.mark.asyncio
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_the_spool_is_closed_after_the_call(start, upstream):
    proxy_server = await start(limits=Limits(memory_body_bytes=10))
    before = {os.readlink(f"/proc/self/fd/{n}") for n in spools()}

    await proxy_server.ask(
        b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n" + b"x" * 99
    )

    assert {os.readlink(f"/proc/self/fd/{n}") for n in spools()} == before
    assert upstream.requests[0].body == b"x" * 99


def spools() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            if "(deleted)" in os.readlink(f"/proc/self/fd/{number}"):
                found.append(number)
        except OSError:
            continue
    return found


@pytest.mark.asyncio
async def test_without_a_temporary_directory_a_large_body_is_rejected_with_the_reason(
    start, upstream, no_temporary_directory
):
    proxy_server = await start(limits=Limits(memory_body_bytes=10))

    answer = await proxy_server.ask(
        b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n" + b"x" * 99
    )

    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert "TMPDIR" in answer.json["message"]
    assert answer.value("Retry-After") == "1"
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_without_a_temporary_directory_small_bodies_are_forwarded(
    proxy_server, upstream, no_temporary_directory
):
    answer = await proxy_server.ask(
        b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    )

    assert answer.status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [100, 1_000_000], ids=["at the end", "on the way"])
async def test_a_full_disk_is_reported(payload_of, size):
    payload = payload_of(b"x" * size)

    with tiny_disk(), pytest.raises(Overloaded, match="temporary directory"):
        await read_body(
            payload,
            True,
            BodyLimits(Limits(memory_body_bytes=10), Timeouts(), Permit(ConcurrencyLimiter())),
            None,
        )


@pytest.mark.parametrize(("length", "passes"), [(None, True), (b"10", True), (b"11", False)])
def test_the_declared_length_is_checked_before_the_body(length, passes):
    limits = Limits(body_bytes=10)

    try:
        check_length(length, limits)
        passed = True
    except BodyTooLarge:
        passed = False

    assert passed is passes


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        b"Content-Length: 2001\r\n\r\n",
        b"Content-Length: 9999999999999999999\r\n\r\n" + b"x" * 5000,
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 2001),
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 200_000)[:-5],
    ],
    ids=["length", "length of 19 digits", "chunks", "chunks without an end"],
)
async def test_a_body_above_the_limit_gets_413_and_closes_the_connection(start, upstream, text):
    proxy_server = await start(limits=Limits(body_bytes=2000, memory_body_bytes=1000))
    conversation = await proxy_server.connect()
    conversation.send(b"PUT /me HTTP/1.1\r\nHost: localhost\r\n" + text)

    answer = await conversation.answer()

    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        b"Content-Length: 9000\r\n\r\n",
        b"Content-Length: 9000\r\n\r\n" + b"x" * 8000,
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 8000)[:-5],
    ],
    ids=["nothing", "much, then nothing", "within a chunk", "between chunks"],
)
async def test_a_body_that_stalls_gets_408(start, upstream, text):
    proxy_server = await start(timeouts=Timeouts(body_s=0.1))
    conversation = await proxy_server.connect()
    conversation.send(b"PUT /me HTTP/1.1\r\nHost: localhost\r\n" + text)

    answer = await conversation.answer()

    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_a_body_that_arrives_slowly_gets_408(start, upstream):
    proxy_server = await start(timeouts=Timeouts(body_s=0.1))
    conversation = await proxy_server.connect()
    conversation.send(b"PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n")

    async def drip() -> None:
        while True:
            conversation.send(b"x")
            await asyncio.sleep(0.01)

    dripping = asyncio.ensure_future(drip())
    answer = await conversation.answer()
    dripping.cancel()

    assert answer.status == 408


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.asyncio
async def test_100_continue_is_sent_once_the_request_is_admitted(proxy_server, upstream):
    conversation = await proxy_server.connect()
    conversation.send(
        b"PUT /me HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
    )
    interim = await conversation.exactly(CONTINUE)
    sent_by_then = len(upstream.requests)
    conversation.send(b"{}")

    answer = await conversation.answer()

    assert (interim, sent_by_then) == (CONTINUE, 0)
    assert answer.status == 200
    assert upstream.requests[0].body == b"{}"
    assert upstream.offences == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/me", "Host: evil.example\r\nExpect: 100-continue", 403),
        ("/@unknown/me", "Host: localhost\r\nExpect: 100-continue", 404),
        ("/-/unknown", "Host: localhost\r\nExpect: 100-continue", 404),
        ("/a//b", "Host: localhost\r\nExpect: 100-continue", 400),
        ("/me", "Host: localhost\r\nExpect: 200-ok", 417),
        ("/me", "Host: localhost\r\nExpect: 100-continue\r\nX-Ovh-Proxy-Auth: all", 400),
    ],
    ids=["403", "404 profile", "404 route", "400", "417", "400 auth"],
)
async def test_a_rejected_request_never_gets_100_continue(
    proxy_server, upstream, target, fields, status
):
    conversation = await proxy_server.connect()
    conversation.send(f"PUT {target} HTTP/1.1\r\n{fields}\r\nContent-Length: 9\r\n\r\n".encode())

    answer = await conversation.answer()

    assert answer.status == status
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_no_100_continue_is_sent_without_a_body(proxy_server, upstream):
    answer = await proxy_server.ask(
        b"GET /me HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n"
    )

    assert answer.status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (b"/me", b"Host: evil.example"),
        (b"/@unknown/me", b"Host: localhost"),
        (b"/a//b", b"Host: localhost"),
    ],
    ids=["403", "404", "400"],
)
@pytest.mark.parametrize("sent", [0, 100, 150_000])
async def test_a_rejection_is_sent_before_the_body_and_the_connection_closed(
    proxy_server, upstream, target, fields, sent
):
    conversation = await proxy_server.connect()
    head = b"PUT " + target + b" HTTP/1.1\r\n" + fields + b"\r\nContent-Length: 1000000\r\n\r\n"
    conversation.send(head + b"x" * sent)
    loop = asyncio.get_running_loop()
    began = loop.time()

    answer = await conversation.answer()
    ended = await conversation.ends_cleanly()

    assert 400 <= answer.status < 405
    assert (ended, answer.value("Connection")) == (True, "close")
    assert loop.time() - began < 0.5
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_a_rejected_client_that_keeps_sending_is_disconnected(proxy_server):
    conversation = await proxy_server.connect()
    conversation.send(b"PUT /me HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 99999\r\n\r\n")
    await conversation.answer()
    loop = asyncio.get_running_loop()
    began = loop.time()

    await sends_for_ever(conversation)

    assert loop.time() - began < 3


async def sends_for_ever(conversation) -> None:
    async with asyncio.timeout(5):
        while not conversation.writer.transport.is_closing():
            conversation.send(b"x")
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_rejected_request_whose_body_was_read_keeps_the_connection_open(
    proxy_server, upstream
):
    conversation = await proxy_server.connect()
    conversation.send(b"PUT /a//b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
    refusal = await conversation.answer()
    conversation.send(b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n")

    answer = await conversation.answer()

    assert (refusal.status, refusal.value("Connection"), answer.status) == (400, None, 200)
