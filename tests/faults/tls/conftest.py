"""An upstream with TLS, a relay to it, and a proxy that trusts it."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.certificates import NAME, Pair, make_pair, server_context
from support.hostile import HostileUpstream
from support.names import changing, names
from support.proxy_server import ProxyServer
from support.raw_server import OK, answering
from support.relay import Relay
from support.serving import serving

from ovh_proxy.core.settings import Timeouts, Upstream


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """The first certificate is trusted, the second replaces it; the others are not valid now."""
    folder = tmp_path_factory.mktemp("pairs")
    return {
        "first": make_pair(folder / "first.pem"),
        "second": make_pair(folder / "second.pem"),
        "ended": make_pair(folder / "ended.pem", days=-1, age_days=9),
        "early": make_pair(folder / "early.pem", days=9, age_days=-1),
    }


@pytest.fixture
def context(pairs: dict[str, Pair]) -> ssl.SSLContext:
    """The TLS context of the upstream."""
    return server_context(pairs["first"])


@pytest.fixture
def ca_file(tmp_path: Path, pairs: dict[str, Pair]) -> Path:
    """The authorities that the proxy trusts."""
    pairs["first"].trusted_in(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest_asyncio.fixture
async def upstream(nothing_left: None, context: ssl.SSLContext) -> AsyncIterator[HostileUpstream]:
    """An upstream with TLS that closes the connection after each call."""
    async with HostileUpstream(tls=context) as upstream:
        upstream.scripts = [answering(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))]
        yield upstream


@pytest_asyncio.fixture
async def relay(upstream: HostileUpstream) -> AsyncIterator[Relay]:
    """A relay between proxy and upstream."""
    async with Relay(upstream.port) as relay:
        yield relay


@pytest.fixture
def bounds() -> Timeouts:
    """The default timeouts: handshakes are slow on a machine under load."""
    return Timeouts()


@pytest_asyncio.fixture
async def proxy_server(
    upstream: HostileUpstream, relay: Relay, ca_file: Path, bounds: Timeouts, kept_loggers: None
) -> AsyncIterator[ProxyServer]:
    """A proxy that trusts the authorities in the file."""
    names().names[NAME] = changing(("127.0.0.1",))
    base_url = f"https://{NAME}:{relay.port}/1.0"
    trusting = Upstream(ca_file=str(ca_file))
    async with serving(
        upstream, base_url=base_url, upstream=trusting, timeouts=bounds
    ) as proxy_server:
        yield proxy_server
