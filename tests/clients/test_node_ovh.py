import json
from pathlib import Path

import pytest
from support.clients import Through
from support.node import PACKAGES, Node
from support.stand_in import SIGNED, StandIn

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("package", PACKAGES)
async def test_node_ovh_keeps_a_record(
    through: Through, stand_in: StandIn, node: Node, package: str
) -> None:
    seen = await through(
        *(node.path, SCRIPTS / "node_ovh.cjs", package),
        flags=["--made-up-keys"],
        NODE_PATH=str(node.packages),
    )

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert json.loads(seen.out) == {
        "me": ME["nichandle"],
        "changed": "192.0.2.78",
        "listed": True,
        "gone": 404,
    }
    assert set(stand_in.verdicts) == {SIGNED}


@pytest.mark.parametrize("package", PACKAGES)
async def test_node_ovh_is_held_to_the_rules(
    through: Through, stand_in: StandIn, node: Node, package: str
) -> None:
    seen = await through(
        *(node.path, SCRIPTS / "node_ovh_refused.cjs", package),
        flags=("--made-up-keys", "--rule", "GET /me"),
        NODE_PATH=str(node.packages),
    )

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert "403 no access rule" in seen.out
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]
