"""New connections that resume the TLS session of an earlier one."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from support.raw_server import OK, RawServer, Side, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import UpstreamTls
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.pool import Pool

MakeCertificate = Callable[[str], tuple[Path, ssl.SSLContext]]
NAMES = "IP:127.0.0.1,DNS:localhost"


async def call(pool: Pool, url: str) -> None:
    incoming = await within(pool.send(UpstreamRequest("GET", url + "/me")))
    await within(incoming.read_up_to(100))


class EndingServer(RawServer):
    """An upstream that closes each connection after its response.

    Attributes:
        resumed: of each connection, whether it went on with an earlier session.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.scripts = [self._answer]
        self.resumed: list[bool] = []

    async def _answer(self, side: Side) -> None:
        self.resumed.append(side.writer.get_extra_info("ssl_object").session_reused)
        await side.answer(OK)
        side.end()


async def no_tls(side: Side) -> None:
    await side.send(b"SSH-2.0-x\r\n")
    await side.until_gone()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
async def test_a_new_connection_resumes_the_previous_session(
    complaints: list,
    make_certificate: MakeCertificate,
    make_pool: MakePool,
    version: ssl.TLSVersion,
) -> None:
    certificate, context = make_certificate(NAMES)
    context.maximum_version = version
    pool = make_pool(ca_file=str(certificate))

    async with EndingServer(context) as server:
        for _ in range(3):
            await call(pool, server.url)

        assert server.resumed == [False, True, True]


@pytest.mark.asyncio
async def test_an_upstream_without_the_session_makes_a_full_handshake(
    complaints: list, make_certificate: MakeCertificate, make_pool: MakePool
) -> None:
    certificate, context = make_certificate(NAMES)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    pool = make_pool(ca_file=str(certificate))

    async with EndingServer(context) as server, EndingServer(_another(certificate)) as other:
        await call(pool, server.url)
        await call(pool, other.url)

        assert server.resumed + other.resumed == [False, False]


def _another(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


@pytest.mark.asyncio
async def test_a_session_is_used_only_for_its_host(
    complaints: list, make_certificate: MakeCertificate, make_pool: MakePool
) -> None:
    certificate, context = make_certificate(NAMES)
    pool = make_pool(ca_file=str(certificate))

    async with EndingServer(context) as server:
        await call(pool, server.url)
        await call(pool, f"https://localhost:{server.port}")

        assert server.resumed == [False, False]


@pytest.mark.asyncio
async def test_a_failed_handshake_is_followed_by_one_without_a_session(
    complaints: list, make_certificate: MakeCertificate, make_pool: MakePool
) -> None:
    certificate, context = make_certificate(NAMES)
    pool = make_pool(ca_file=str(certificate))

    async with EndingServer(context) as server, RawServer() as plain:
        plain.scripts = [no_tls]
        await call(pool, server.url)
        with pytest.raises(UpstreamTls):
            await call(pool, plain.url.replace("http:", "https:"))
        await call(pool, server.url)

        assert server.resumed == [False, False]
