"""TLS listeners: the certificate they show, and which clients they accept."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Listener, TcpAddress, Timeouts, TlsFiles, UnixAddress
from ovh_proxy.listeners.listener import open_listener
from ovh_proxy.logs import Log
from ovh_proxy.tls.certificates import FileCertificates

LOOPBACK = TcpAddress("127.0.0.1", 0)
GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
BOUND_S = 5.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path

    def copy_to(self, files: TlsFiles) -> None:
        """Replaces the files as a renewal does: other ones under the same names."""
        for source, target in ((self.cert, files.cert), (self.key, files.key)):
            shutil.copy(source, f"{target}.new")
            os.replace(f"{target}.new", target)


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates made for the tests.

    Attributes:
        first, second: of the listener, one after the other; self-signed.
        ca, other_ca: who vouches for clients.
        client, stranger: a client that `ca` vouches for, one that `other_ca` vouches for.
        locked: the key of `first`, with a password.
    """

    first: Pair
    second: Pair
    ca: Pair
    other_ca: Pair
    client: Pair
    stranger: Pair
    locked: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Authority:
    """All certificates, made by the openssl command."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def make(name: str, *more: object) -> Pair:
        pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-keyout", pair.key, "-out", pair.cert, *more),
            ],
            check=True,
            capture_output=True,
        )
        return pair

    alone = ("-addext", "subjectAltName=IP:127.0.0.1")
    first, ca, other_ca = make("first", *alone), make("ca"), make("other_ca")
    locked = folder / "locked.key"
    subprocess.run(
        [openssl, "ec", "-in", first.key, "-aes256", "-passout", "pass:made-up", "-out", locked],
        check=True,
        capture_output=True,
    )
    return Authority(
        first=first,
        second=make("second", *alone),
        ca=ca,
        other_ca=other_ca,
        client=make("client", "-CA", ca.cert, "-CAkey", ca.key),
        stranger=make("stranger", "-CA", other_ca.cert, "-CAkey", other_ca.key),
        locked=locked,
    )


@pytest.fixture
def files(made, tmp_path) -> TlsFiles:
    """The first pair, at the listener's paths."""
    files = TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    made.first.copy_to(files)
    return files


@pytest.fixture
def with_client_ca(made, files, tmp_path) -> TlsFiles:
    """The same with mandatory client certificates."""
    shutil.copy(made.ca.cert, tmp_path / "ca.crt")
    return TlsFiles(files.cert, files.key, str(tmp_path / "ca.crt"))


def trusting(*pairs: Pair, shows: Pair | None = None) -> ssl.SSLContext:
    """A client context that trusts these certificates, optionally with its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    for pair in pairs:
        context.load_verify_locations(pair.cert)
    if shows is not None:
        context.load_cert_chain(shows.cert, shows.key)
    return context


@contextlib.asynccontextmanager
async def connected(
    port: int, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        async with asyncio.timeout(BOUND_S):
            yield reader, writer
    finally:
        writer.transport.abort()


async def read_response(port: int, context: ssl.SSLContext, request: bytes = GET) -> bytes:
    """Returns everything received until the connection ends; empty if it was rejected."""
    request = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    try:
        async with connected(port, context) as (reader, writer):
            writer.write(request)
            return await reader.read()
    except (ssl.SSLError, ConnectionError):
        return b""


async def subject_at(port: int, made: Authority) -> str:
    """Returns the name in the certificate of a new handshake."""
    context = trusting(made.first, made.second)
    async with connected(port, context) as (_, writer):
        return writer.get_extra_info("peercert")["subject"][0][0][1]


@pytest_asyncio.fixture
async def tls_port(start, files):
    """The port of a server that listens with TLS."""
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=files),))
    return proxy_server.port


@pytest.mark.asyncio
async def test_a_tls_listener_serves_modern_tls_and_http_1_1(start, upstream, made, files):
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=files),))
    context = trusting(made.first)
    context.set_alpn_protocols(["h2", "http/1.1"])

    async with connected(proxy_server.port, context) as (reader, writer):
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        spoken = writer.get_extra_info("ssl_object")

    assert proxy_server.addresses == [f"https://127.0.0.1:{proxy_server.port}"]
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert spoken.version() in ("TLSv1.2", "TLSv1.3")
    assert spoken.selected_alpn_protocol() == "http/1.1"
    assert upstream.requests[0].target == "/1.0/me"


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_old_tls_versions_are_rejected(made, tls_port, upstream):
    context = trusting(made.first)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with connected(tls_port, context):
            pass

    assert upstream.requests == []


@pytest.mark.asyncio
async def test_a_location_header_has_the_https_scheme(upstream, made, tls_port):
    upstream.answers(
        b"HTTP/1.1 201 Created\r\n"
        b"Location: http://127.0.0.1:%d/1.0/me/7\r\nContent-Length: 0\r\n\r\n" % upstream.port
    )

    response = await read_response(
        tls_port, trusting(made.first), GET.replace(b"localhost", b"localhost:%d" % tls_port)
    )

    assert b"\r\nLocation: https://localhost:%d/1.0/me/7\r\n" % tls_port in response


@pytest.mark.asyncio
@pytest.mark.parametrize(("scheme", "status"), [(b"https", b"200"), (b"http", b"403")])
async def test_only_the_https_origin_of_the_listener_is_its_own(made, tls_port, scheme, status):
    own = b"localhost:%d\r\nOrigin: %s://localhost:%d" % (tls_port, scheme, tls_port)

    response = await read_response(tls_port, trusting(made.first), GET.replace(b"localhost", own))

    assert response[9:12] == status


@pytest.mark.asyncio
async def test_plain_http_is_closed_at_once(tls_port, upstream):
    async with connected(tls_port, None) as (reader, writer):
        writer.write(GET)
        try:
            received = await reader.read()
        except ConnectionError:
            received = b""

    assert b"HTTP" not in received
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_malformed_input_gets_an_error_over_tls_and_closes_the_connection(tls_port, made):
    async with connected(tls_port, trusting(made.first)) as (reader, writer):
        writer.write(b"no request\r\n\r\n" + GET)
        received = await reader.read()

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.asyncio
async def test_a_rejected_client_that_keeps_sending_still_gets_its_response(
    tls_port, made, upstream
):
    head = b"PUT /me HTTP/1.1\r\nHost: site.example\r\nContent-Length: 2000000\r\n\r\n"
    async with connected(tls_port, trusting(made.first)) as (reader, writer):
        writer.write(head + b"x" * 1_000_000)
        received = await reader.read()

    assert received.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_a_client_that_does_not_answer_the_tls_close_is_disconnected(tls_port, made):
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = trusting(made.first).wrap_bio(*ends)
    async with connected(tls_port, None) as (reader, writer):
        await shake_hands(engine, ends, reader, writer)
        engine.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        writer.write(ends[1].read())

        ends[0].write(await reader.read())  # up to the end of the connection

    assert engine.read().startswith(b"HTTP/1.1 200 OK")


async def shake_hands(engine, ends, reader, writer) -> None:
    """Does a handshake by hand, so that nothing answers the TLS close automatically."""
    while True:
        try:
            engine.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(ends[1].read())
            ends[0].write(await reader.read(65_536))
    writer.write(ends[1].read())


@pytest.mark.asyncio
async def test_a_missing_handshake_is_disconnected(start, files):
    proxy_server = await start(
        listen=(Listener(LOOPBACK, tls=files),), timeouts=Timeouts(header_s=0.1)
    )

    async with connected(proxy_server.port, None) as (reader, _):
        received = await reader.read()

    assert received == b""
    assert [record["message"] for record in proxy_server.records] == []


@pytest.mark.asyncio
async def test_a_client_must_show_a_certificate_of_the_authority(
    start, upstream, made, with_client_ca
):
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=with_client_ca),))
    client_pairs = {"none": None, "a stranger's": made.stranger, "its own": made.client}

    responses = {
        name: await read_response(proxy_server.port, trusting(made.first, shows=pair))
        for name, pair in client_pairs.items()
    }

    assert {name: response[:15] for name, response in responses.items()} == {
        "none": b"",
        "a stranger's": b"",
        "its own": b"HTTP/1.1 200 OK",
    }
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
async def test_a_renewed_certificate_is_used_within_two_seconds(start, made, files):
    proxy_server = await start(listen=(Listener(LOOPBACK, tls=files),))
    async with connected(proxy_server.port, trusting(made.first)) as (reader, writer):
        before = await subject_at(proxy_server.port, made)
        made.second.copy_to(files)
        async with asyncio.timeout(2):
            while "certificate reloaded" not in proxy_server.log.getvalue():
                proxy_server.log.written.clear()
                await proxy_server.log.written.wait()
        after = await subject_at(proxy_server.port, made)
        writer.write(GET)
        response = await reader.readuntil(b"\r\n\r\n")

    assert (before, after) == ("first", "second")
    assert response.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.asyncio
async def test_after_a_renewal_a_shutdown_closes_the_listener(made, files):
    opened = await open_listener(Listener(LOOPBACK, tls=files), asyncio.Protocol)
    port = int(opened.url.rpartition(":")[2])
    made.second.copy_to(files)
    await opened.renew_if_changed(Log(stream=io.StringIO()))
    renewed = await subject_at(port, made)

    opened.close()

    assert renewed == "second"
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.asyncio
async def test_a_shutdown_during_a_renewal_closes_every_socket(made, files):
    opened, other = [
        await open_listener(Listener(LOOPBACK, tls=files), asyncio.Protocol) for _ in range(2)
    ]
    opened.servers += other.servers  # like a name with two addresses
    made.second.copy_to(files)

    async def stop() -> None:
        opened.close()

    await asyncio.gather(opened.renew_if_changed(Log(stream=io.StringIO())), stop())

    assert [server.sockets for server in opened.servers] == [(), ()]


@pytest.mark.asyncio
async def test_a_listener_without_tls_renews_nothing(tmp_path):
    opened = await open_listener(Listener(UnixAddress(str(tmp_path / "s"))), asyncio.Protocol)
    servers = opened.servers

    await opened.renew_if_changed(Log(stream=io.StringIO()))

    assert opened.servers is servers
    opened.close()


def test_an_unchanged_certificate_is_not_reloaded(files):
    certificates, log = FileCertificates(files), io.StringIO()
    context = certificates.context

    changed = certificates.reload_if_changed(Log(stream=log))

    assert (changed, certificates.context, log.getvalue()) == (False, context, "")


def damage(files: TlsFiles, made: Authority, what: str) -> None:
    """Breaks the files as a failed renewal would."""
    match what:
        case "no PEM":
            Path(files.cert).write_text("no certificate at all")
        case "gone":
            os.unlink(files.key)
        case "another's key":
            shutil.copy(made.second.key, files.key)
        case "password":
            shutil.copy(made.locked, files.key)
        case "no PEM for clients":
            Path(files.client_ca).write_text("no certificate at all")
        case "nobody for clients":
            os.unlink(files.client_ca)


DAMAGES = {
    "no PEM": "tls.key: not PEM, a different key, or protected by a password",
    "gone": "tls.key: No such file or directory",
    "another's key": "tls.key: not PEM, a different key, or protected by a password",
    "password": "tls.key: not PEM, a different key, or protected by a password",
    "no PEM for clients": "ca.crt: not PEM",
    "nobody for clients": "ca.crt: No such file or directory",
}


@pytest.mark.parametrize(("what", "expected"), DAMAGES.items(), ids=DAMAGES)
def test_invalid_files_are_an_error_at_start(made, with_client_ca, what, expected):
    damage(with_client_ca, made, what)

    with pytest.raises(ListenFailed) as caught:
        FileCertificates(with_client_ca)

    assert str(caught.value).startswith("cannot use the c")
    assert str(caught.value).endswith(expected)


@pytest.mark.parametrize(("what", "expected"), DAMAGES.items(), ids=DAMAGES)
def test_a_broken_renewal_keeps_the_last_valid_files_and_is_logged_once(
    made, with_client_ca, what, expected
):
    certificates, text = FileCertificates(with_client_ca), io.StringIO()
    context, log = certificates.context, Log(form="json", stream=text)
    damage(with_client_ca, made, what)

    loaded = [certificates.reload_if_changed(log) for _ in range(3)]

    (record,) = map(json.loads, text.getvalue().splitlines())
    assert (loaded, certificates.context) == ([False] * 3, context)
    assert (
        record["level"],
        record["message"].startswith("certificate reload failed, keeping the previous one: "),
    ) == (
        "error",
        True,
    )
    assert record["message"].endswith(expected)


def test_a_repaired_renewal_is_loaded(made, files):
    certificates, log = FileCertificates(files), Log(stream=io.StringIO())
    context = certificates.context
    damage(files, made, "gone")
    certificates.reload_if_changed(log)
    made.second.copy_to(files)

    loaded = certificates.reload_if_changed(log)

    assert loaded
    assert certificates.context is not context


@pytest.mark.asyncio
async def test_clients_of_a_replaced_authority_are_rejected(made, with_client_ca):
    listener = Listener(LOOPBACK, tls=with_client_ca)
    opened = await open_listener(listener, Greeter)
    port = int(opened.url.rpartition(":")[2])
    known, new = (trusting(made.first, shows=pair) for pair in (made.client, made.stranger))
    before = [await read_response(port, known), await read_response(port, new)]
    shutil.copy(made.other_ca.cert, with_client_ca.client_ca)
    await opened.renew_if_changed(Log(stream=io.StringIO()))

    after = [await read_response(port, known), await read_response(port, new)]

    opened.close()
    assert (before, after) == ([b"hello", b""], [b"", b"hello"])


class Greeter(asyncio.Protocol):
    """Says hello and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()
