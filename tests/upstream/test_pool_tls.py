import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.raw_server import OK, RawServer, Side, answering, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import UpstreamBroken, UpstreamTls, UpstreamUnreachable
from ovh_proxy.ovhcloud.messages import Body, UpstreamRequest
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.response import UpstreamResponse


@pytest_asyncio.fixture
async def tls_server(
    certificate: tuple[Path, ssl.SSLContext], complaints: list
) -> AsyncIterator[RawServer]:
    """An upstream behind TLS."""
    async with RawServer(certificate[1]) as server:
        yield server


@pytest_asyncio.fixture
async def trusting(certificate: tuple[Path, ssl.SSLContext], make_pool: MakePool) -> Pool:
    """A pool that trusts the upstream's certificate, with one connection."""
    return make_pool(ca_file=str(certificate[0]), connections=1)


def get(server: RawServer) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + "/me")


async def whole(incoming: UpstreamResponse) -> bytes:
    pieces = []
    while piece := await within(incoming.read()):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.asyncio
async def test_an_upstream_with_a_trusted_certificate_is_called(
    tls_server: RawServer, trusting: Pool
) -> None:
    for _ in range(3):
        await whole(await within(trusting.send(get(tls_server))))

    assert len(tls_server.heads) == 3
    assert len(tls_server.sides) == 1


@pytest.mark.asyncio
async def test_an_untrusted_certificate_is_rejected(tls_server: RawServer, pool: Pool) -> None:
    with pytest.raises(
        UpstreamTls, match=r"certificate of 127\.0\.0\.1:[0-9]+ is not trusted"
    ) as failed:
        await within(pool.send(get(tls_server)))

    assert failed.value.nothing_arrived
    assert tls_server.heads == []


@pytest.mark.asyncio
async def test_a_certificate_for_another_name_is_rejected(
    make_certificate, make_pool: MakePool
) -> None:
    path, context = make_certificate("DNS:other.example")
    pool = make_pool(ca_file=str(path))

    async with RawServer(context) as server:
        with pytest.raises(UpstreamTls, match="is not trusted"):
            await within(pool.send(get(server)))

        assert server.heads == []


@pytest.mark.asyncio
async def test_an_upstream_without_tls_fails_the_handshake(server: RawServer, pool: Pool) -> None:
    async def plain(side: Side) -> None:
        await side.reader.read(1)
        await side.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await side.until_gone()

    server.scripts = [plain]
    url = server.url.replace("http:", "https:")

    with pytest.raises(UpstreamTls, match=r"TLS handshake with .* failed") as failed:
        await within(pool.send(UpstreamRequest("GET", url + "/me")))

    assert failed.value.nothing_arrived


@pytest.mark.asyncio
async def test_an_upstream_with_only_old_tls_is_rejected(
    make_certificate, make_pool: MakePool
) -> None:
    path, context = make_certificate("IP:127.0.0.1")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    pool = make_pool(ca_file=str(path))

    async with RawServer(context) as server:
        with pytest.raises((UpstreamTls, UpstreamUnreachable)):
            await within(pool.send(get(server)))

        assert server.heads == []


@pytest.mark.asyncio
@pytest.mark.parametrize("attempt", ["first", "second"])
async def test_a_missing_ca_file_fails_the_call(
    tls_server: RawServer, make_pool: MakePool, tmp_path: Path, attempt: str
) -> None:
    pool = make_pool(ca_file=str(tmp_path / "missing.pem"))
    if attempt == "second":
        with pytest.raises(UpstreamTls):
            await within(pool.send(get(tls_server)))

    with pytest.raises(UpstreamTls, match=r"upstream\.ca_file: .* cannot be read"):
        await within(pool.send(get(tls_server)))

    assert tls_server.sides == []


@pytest.mark.asyncio
async def test_a_large_response_arrives_through_tls_byte_for_byte(
    tls_server: RawServer, trusting: Pool
) -> None:
    text = b"".join(b"%07d\n" % number for number in range(500_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
    tls_server.scripts = [answering(head, text)]

    body = await whole(await within(trusting.send(get(tls_server))))

    assert len(body) == len(text)
    assert body == text


@pytest.mark.asyncio
async def test_a_large_request_arrives_through_tls_byte_for_byte(
    tls_server: RawServer, trusting: Pool
) -> None:
    text = b"".join(b"%07d\n" % number for number in range(500_000))
    body = Body((text[:7], text[7:]), len(text), is_declared=True)

    await within(trusting.send(UpstreamRequest("PUT", tls_server.url + "/me", (), body)))

    assert tls_server.sides[0].bodies == [text]


@pytest.mark.asyncio
async def test_a_response_without_a_length_ends_with_tls(
    tls_server: RawServer, trusting: Pool
) -> None:
    tls_server.scripts = [answering(b"HTTP/1.1 200 OK\r\n\r\n", b"some", ends=True)]

    incoming = await within(trusting.send(get(tls_server)))

    assert await whole(incoming) == b"some"


@pytest.mark.asyncio
async def test_a_response_cut_below_tls_is_detected_by_its_length(
    tls_server: RawServer, trusting: Pool
) -> None:
    async def script(side: Side) -> None:
        await side.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"some")
        side.end_sending()
        await side.until_gone()

    tls_server.scripts = [script]
    incoming = await within(trusting.send(get(tls_server)))

    with pytest.raises(UpstreamBroken):
        await whole(incoming)

    assert not incoming.is_complete


@pytest.mark.asyncio
async def test_a_slow_reader_gets_all_of_a_response_after_the_upstream_closed(
    tls_server: RawServer, trusting: Pool
) -> None:
    text = b"a" * 1_000_000
    tls_server.scripts = [answering(b"HTTP/1.1 200 OK\r\n\r\n", text, ends=True)]
    incoming = await within(trusting.send(get(tls_server)))
    await asyncio.sleep(0)

    body = await whole(incoming)

    assert body == text


# What is sent in which turn of the loop is asyncio's own.
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_call_cancelled_while_it_checks_an_idle_connection_leaves_it_free(
    tls_server: RawServer, trusting: Pool
) -> None:
    has_left = asyncio.Event()

    async def script(side: Side) -> None:
        # This turn of the loop has sent the session tickets that follow a handshake; the other end
        # has not read them. A call is taken one step by hand, to be cancelled just then.
        looking = trusting.send(get(tls_server))
        assert looking.send(None) is None
        with pytest.raises(asyncio.CancelledError):
            looking.throw(asyncio.CancelledError())
        has_left.set()
        await side.until_gone()

    tls_server.scripts = [script, answering(OK)]
    await within(trusting.warm(tls_server.url))
    await within(has_left.wait())

    incoming = await within(trusting.send(get(tls_server)))

    assert await whole(incoming) == b"ok"


@pytest.mark.asyncio
async def test_closing_ends_tls_connections(tls_server: RawServer, trusting: Pool) -> None:
    await within(trusting.send(get(tls_server)))

    await trusting.close()

    await tls_server.until(lambda: tls_server.open == 0)
