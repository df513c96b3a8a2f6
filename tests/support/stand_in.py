"""The sandbox in place of OVHcloud's hosts, over TLS, behind an HTTP proxy.

Import the fixture (`from support.stand_in import stand_in`) and pass its files to the command under
test: `ovh-proxy exec *stand_in.flags -- CMD` (`stand_in.store` and `stand_in.config` are their
paths). The store has the profiles `personal` (application keys, the default), `robot` (service
account) and `card` (access token) at `ovh-eu`. The settings send all calls through `upstream.proxy`
to the HTTP proxy, which connects `eu.api.ovh.com:443`, the hosts of all other endpoints and all
token hosts to one sandbox with TLS. Within the process of the test, use
`Settings(upstream=stand_in.upstream)`. Afterwards, `stand_in.sandbox.requests` has all requests,
`stand_in.verdicts` the results of the sandbox for requests that need a signature ("signed by KEY",
"token", "refused: CODE"; `SIGNED` is success), and `stand_in.connects` the targets of all CONNECT
requests. A CONNECT to another host gets a 403, unless
`stand_in.elsewhere["pypi.org:443"] = ("127.0.0.1", port)` maps it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio
from support.certificates import make_pair, server_context

from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.settings import HttpProxy, TcpAddress, Upstream
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.call import ReceivedRequest

SIGNED = f"signed by {grants.APPLICATION_KEY}"
HOSTS = tuple(
    dict.fromkeys(
        urlsplit(url).netloc
        for endpoint in ENDPOINTS.values()
        for url in (endpoint.base_url, endpoint.token_url)
        if url is not None
    )
)
OWN_HOST = "api.internal"  # for a profile with a base URL; also the sandbox
_STORE = f"""\
default: personal
profiles:
  personal:
    endpoint: ovh-eu
    application_key: {grants.APPLICATION_KEY}
    application_secret: {grants.APPLICATION_SECRET}
    consumer_key: {grants.CONSUMER_KEY}
  robot:
    endpoint: ovh-eu
    client_id: {grants.CLIENT_ID}
    client_secret: {grants.CLIENT_SECRET}
  card:
    endpoint: ovh-eu
    access_token: {grants.ACCESS_TOKEN}
"""


@dataclass(slots=True)
class StandIn:
    """An HTTP proxy that connects OVHcloud's hosts to the sandbox.

    Attributes:
        home: the directory of its files.
        sandbox: behind the proxy; clients cannot use its own URL.
        connects: the targets of all CONNECT requests, in order.
        elsewhere: for other targets: the host and port on this machine to connect to.
    """

    home: Path
    sandbox: Sandbox
    connects: list[str] = field(default_factory=list)
    elsewhere: dict[str, tuple[str, int]] = field(default_factory=dict)
    port: int = 0

    @property
    def proxy_url(self) -> str:
        """The value for `upstream.proxy`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """For `upstream.ca_file`; not for clients of the proxy under test."""
        return self.home / "ovhcloud.pem"

    @property
    def upstream(self) -> Upstream:
        """The upstream settings, for a proxy in the process of the test."""
        return Upstream(str(self.ca_file), HttpProxy(TcpAddress("127.0.0.1", self.port)))

    @property
    def store(self) -> Path:
        return self.home / "credentials.yaml"

    @property
    def config(self) -> Path:
        return self.home / "ovh-proxy.yaml"

    @property
    def flags(self) -> tuple[str, ...]:
        """For any command that reads the store."""
        return "--credentials", str(self.store), "--config", str(self.config)

    @property
    def signed(self) -> list[ReceivedRequest]:
        """The requests that need a signature."""
        unsigned = (b"/auth/time", b"/auth/oauth2/token")
        return [one for one in self.sandbox.requests if not one.target.endswith(unsigned)]

    @property
    def verdicts(self) -> list[str]:
        """The results of the sandbox for them, in order."""
        return [one.verdict for one in self.signed]

    def write(self, store: str = _STORE, settings: str = "") -> None:
        """Writes both files.

        Args:
            settings: additional settings, as YAML.
        """
        self.store.touch(mode=0o600)
        self.store.write_text(store)
        self.config.write_text(
            f"listen: ['127.0.0.1:0']\nupstream:\n  ca_file: {self.ca_file}\n"
            f"  proxy: {self.proxy_url}\n{settings}"
        )

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection of the proxy under test."""
        with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            await self._forward(head.split()[1].decode(), reader, writer)

    async def _forward(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connects.append(target)
        host, _, port = target.rpartition(":")
        is_ours = host in (*HOSTS, OWN_HOST) and port == "443"
        address = ("127.0.0.1", self.sandbox.port) if is_ours else self.elsewhere.get(target)
        if address is None:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        there, back = await asyncio.open_connection(*address)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        directions = [
            asyncio.ensure_future(_pass(reader, back)),
            asyncio.ensure_future(_pass(there, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.close()
            for one in directions:
                one.cancel()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()


@pytest_asyncio.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[StandIn]:
    """The sandbox in place of OVHcloud's hosts, behind an HTTP proxy."""
    home = tmp_path / "ovhcloud"
    home.mkdir()
    pair = make_pair(home / "server.pem", names=(*HOSTS, OWN_HOST))
    certificate = pair.path.read_text()
    (home / "ovhcloud.pem").write_text(certificate[certificate.index("-----BEGIN CERTIFICATE") :])
    async with Sandbox(tls=server_context(pair)) as sandbox:
        running = StandIn(home, sandbox)
        server = await asyncio.start_server(running.connect, "127.0.0.1", 0)
        running.port = server.sockets[0].getsockname()[1]
        running.write()
        yield running
        server.close()
        await server.wait_closed()
