from pathlib import Path

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import tool

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

CONFIG = """\
providers:
  files: {class: octodns.provider.yaml.YamlProvider, directory: ./zones}
  ovh:
    class: octodns_ovh.OvhProvider
    endpoint: ovh-eu
    application_key: env/OVH_APPLICATION_KEY
    application_secret: env/OVH_APPLICATION_SECRET
    consumer_key: env/OVH_CONSUMER_KEY
zones:
  example.org.: {sources: [files], targets: [ovh]}
"""
ZONE = """\
? ''
: {type: A, value: 192.0.2.44}
new: {ttl: 300, type: CNAME, value: www.example.org.}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of octodns, with a zone file."""
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones/example.org.yaml").write_text(ZONE)
    written = tmp_path / "octodns.yaml"
    written.write_text(CONFIG)
    return written


async def test_octodns_updates_a_zone(
    run_client: RunClient, stand_in: StandIn, config: Path
) -> None:
    command = (tool("octodns-sync"), "--config-file", config, "--doit", "--force")

    first = await run_client(*command, flags=["--made-up-keys"])
    changed = [one.method for one in stand_in.signed if one.method != "GET"]
    second = await run_client(*command, flags=["--made-up-keys"])

    assert [(one.code, one.keys) for one in (first, second)] == [(0, [])] * 2, first.err
    assert {"POST", "DELETE"} == set(changed)
    assert "No changes were planned" in second.out + second.err
    assert set(stand_in.verdicts) == {SIGNED}


async def test_octodns_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn, config: Path
) -> None:
    result = await run_client(
        *(tool("octodns-sync"), "--config-file", config, "--doit", "--force"),
        flags=("--made-up-keys", "--rule", "read-only /domain"),
    )

    assert result.code != 0
    assert result.keys == []
    assert {one.method for one in stand_in.signed} == {"GET"}
