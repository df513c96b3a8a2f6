"""A corporate `ca_file`, trusted the same way by every Python version."""

import ssl

import pytest
from support.authorities import Firm, make_firm
from support.raw_server import RawServer, within
from support.upstream_pool import MakePool

from ovh_proxy.core.errors import UpstreamTls
from ovh_proxy.ovhcloud.messages import UpstreamRequest


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Firm:
    """Private authorities."""
    return make_firm(tmp_path_factory.mktemp("firm"))


def showing(firm: Firm, who: str) -> ssl.SSLContext:
    return getattr(firm, who).used_by(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def get(server: RawServer) -> UpstreamRequest:
    return UpstreamRequest("GET", server.url + "/me")


@pytest.mark.asyncio
@pytest.mark.parametrize(("authority", "who"), [("root", "of_root"), ("beneath", "of_beneath")])
async def test_an_upstream_of_a_private_authority_without_key_identifiers_is_trusted(
    make_pool: MakePool, complaints: list, firm: Firm, authority: str, who: str
) -> None:
    pool = make_pool(ca_file=str(getattr(firm, authority).path))

    async with RawServer(showing(firm, who)) as server:
        incoming = await within(pool.send(get(server)))

    assert incoming.head.status == 200


@pytest.mark.asyncio
async def test_trusting_an_intermediate_authority_does_not_trust_its_root(
    make_pool: MakePool, complaints: list, firm: Firm
) -> None:
    pool = make_pool(ca_file=str(firm.beneath.path))

    async with RawServer(showing(firm, "of_root")) as server:
        with pytest.raises(UpstreamTls, match="is not trusted"):
            await within(pool.send(get(server)))

        assert server.heads == []
