import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from support.command import environment, running
from support.node import Node
from support.stand_in import SIGNED, StandIn
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

LISTENER = "{tcp: '127.0.0.1:0', tls: auto}"
SCRIPT = """
const [name, port] = process.argv.slice(1);
const keys = { appKey: "any", appSecret: "any", consumerKey: "any" };
const client = require(name)({ host: "localhost", port, ...keys });
client.requestPromised("GET", "/me").then((me) => console.log(JSON.stringify(me)));
"""
END_S = 30.0


@dataclass(frozen=True, slots=True)
class TlsProxy:
    """A proxy with a TLS listener, and the file with its authority."""

    port: int
    ca_file: Path

    async def output_of(self, *command: str, **env: str) -> str:
        """The output of a client."""
        home = self.ca_file.parent
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=home,
            env=environment(home, **env),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), END_S)
        return out.decode()


@pytest_asyncio.fixture
async def tls_proxy(tmp_path: Path, stand_in: StandIn) -> AsyncIterator[TlsProxy]:
    """A proxy for clients that support neither an http:// URL nor HTTPS_PROXY."""
    settings = stand_in.config.read_text()
    stand_in.config.write_text(settings.replace("['127.0.0.1:0']", f"[{LISTENER}]"))
    async with running(tmp_path, "run", *stand_in.flags) as proxy:
        port = urlsplit(proxy.url).port
        assert port is not None
        started = TlsProxy(port, tmp_path / "authority.pem")
        export = ("-m", "ovh_proxy", "ca", "--export", str(started.ca_file))
        await started.output_of(sys.executable, *export)
        yield started


def calls(stand_in: StandIn) -> list[tuple[str | None, str]]:
    """The calls of the client, without those that the proxy makes for its key."""
    received = [one for one in stand_in.signed if one.target == b"/1.0/me"]
    return [(one.header("Host"), one.verdict) for one in received]


async def test_node_ovh_connects_to_a_host_and_a_port(
    stand_in: StandIn, tls_proxy: TlsProxy, node: Node
) -> None:
    output = await tls_proxy.output_of(
        *(node.path, "-e", SCRIPT, "--", "ovh", str(tls_proxy.port)),
        NODE_PATH=str(node.packages),
        NODE_EXTRA_CA_CERTS=str(tls_proxy.ca_file),
    )

    assert json.loads(output) == ME
    assert calls(stand_in) == [("eu.api.ovh.com", SIGNED)]


async def test_a_client_connects_by_the_name_of_the_host(
    stand_in: StandIn, tls_proxy: TlsProxy
) -> None:
    connect_to = f"eu.api.ovh.com:443:127.0.0.1:{tls_proxy.port}"
    options = ("-sS", "--cacert", str(tls_proxy.ca_file), "--connect-to", connect_to)

    output = await tls_proxy.output_of(tool("curl"), *options, "https://eu.api.ovh.com/1.0/me")

    assert json.loads(output) == ME
    assert calls(stand_in) == [("eu.api.ovh.com", SIGNED)]
