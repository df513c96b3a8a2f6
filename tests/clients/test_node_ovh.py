import json
from pathlib import Path

import pytest
from support.clients import RunClient
from support.node import PACKAGES, Node
from support.stand_in import SIGNED, StandIn

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("package", PACKAGES)
async def test_node_ovh_manages_a_record(
    run_client: RunClient, stand_in: StandIn, node: Node, package: str
) -> None:
    result = await run_client(
        *(node.path, SCRIPTS / "node_ovh.cjs", package),
        flags=["--made-up-keys"],
        NODE_PATH=str(node.packages),
    )

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == {
        "me": ME["nichandle"],
        "changed": "192.0.2.78",
        "listed": True,
        "gone": 404,
    }
    assert set(stand_in.verdicts) == {SIGNED}


@pytest.mark.parametrize("package", PACKAGES)
async def test_node_ovh_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn, node: Node, package: str
) -> None:
    result = await run_client(
        *(node.path, SCRIPTS / "node_ovh_refused.cjs", package),
        flags=("--made-up-keys", "--rule", "GET /me"),
        NODE_PATH=str(node.packages),
    )

    assert (result.code, result.keys) == (0, []), result.err
    assert "403 no access rule" in result.out
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]
