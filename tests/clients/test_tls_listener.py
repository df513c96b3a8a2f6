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
class Listening:
    """A proxy whose listener has TLS of its own, and the file of its authority."""

    port: int
    ca_file: Path

    async def seen_by(self, *command: str, **env: str) -> str:
        """What a client says that trusts the authority."""
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
async def listening(tmp_path: Path, stand_in: StandIn) -> AsyncIterator[Listening]:
    """A proxy as a client sees it that takes neither a plain URL nor a proxy."""
    settings = stand_in.config.read_text()
    stand_in.config.write_text(settings.replace("['127.0.0.1:0']", f"[{LISTENER}]"))
    async with running(tmp_path, "run", *stand_in.flags) as proxy:
        port = urlsplit(proxy.url).port
        assert port is not None
        found = Listening(port, tmp_path / "authority.pem")
        export = ("-m", "ovh_proxy", "ca", "--export", str(found.ca_file))
        await found.seen_by(sys.executable, *export)
        yield found


def called(stand_in: StandIn) -> list[tuple[str | None, str]]:
    """The client's calls: the proxy asks for its own key besides."""
    mine = [one for one in stand_in.signed if one.target == b"/1.0/me"]
    return [(one.header("Host"), one.verdict) for one in mine]


async def test_node_ovh_takes_a_host_and_a_port(
    stand_in: StandIn, listening: Listening, node: Node
) -> None:
    said = await listening.seen_by(
        *(node.path, "-e", SCRIPT, "--", "ovh", str(listening.port)),
        NODE_PATH=str(node.packages),
        NODE_EXTRA_CA_CERTS=str(listening.ca_file),
    )

    assert json.loads(said) == ME
    assert called(stand_in) == [("eu.api.ovh.com", SIGNED)]


async def test_a_client_is_led_by_the_name_of_the_host(
    stand_in: StandIn, listening: Listening
) -> None:
    there = f"eu.api.ovh.com:443:127.0.0.1:{listening.port}"
    options = ("-sS", "--cacert", str(listening.ca_file), "--connect-to", there)

    said = await listening.seen_by(tool("curl"), *options, "https://eu.api.ovh.com/1.0/me")

    assert json.loads(said) == ME
    assert called(stand_in) == [("eu.api.ovh.com", SIGNED)]
