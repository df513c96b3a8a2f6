import os
import subprocess
from pathlib import Path

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SOURCE = Path(__file__).parent / "scripts/go_ovh.go"
# Where Debian installs golang-github-ovh-go-ovh-dev.
GOPATH = Path("/usr/share/gocode")
BUILD_S = 120.0
# go-ovh before 1.5 does not support access tokens, but a client token may be the application key.
KEYS = "OVH_APPLICATION_KEY=$OVH_ACCESS_TOKEN OVH_APPLICATION_SECRET=none OVH_CONSUMER_KEY=none"
BY_URL = ("sh", "-c", f'{KEYS} exec "$0"')
VARIANTS = {"url": (BY_URL, ()), "interception": ((), ("--made-up-keys",))}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that uses go-ovh."""
    go = tool("go")
    if not (GOPATH / "src/github.com/ovh/go-ovh").exists():
        pytest.skip("the source of go-ovh is not installed")
    home = tmp_path_factory.mktemp("go")
    modules = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": f"{home}{os.pathsep}{GOPATH}"}
    subprocess.run(
        [go, "build", "-o", home / "program", SOURCE],
        env={"GOCACHE": str(home / "cache"), **os.environ, **modules},
        check=True,
        timeout=BUILD_S,
    )
    return home / "program"


@pytest.mark.parametrize(("before", "flags"), VARIANTS.values(), ids=VARIANTS)
async def test_go_ovh_manages_a_record(
    run_client: RunClient,
    stand_in: StandIn,
    program: Path,
    before: tuple[str, ...],
    flags: tuple[str, ...],
) -> None:
    result = await run_client(*before, program, flags=flags)

    assert (result.code, result.keys) == (0, []), result.err
    assert result.out.split() == [ME["nichandle"], "192.0.2.78", "404"]
    methods = [one.method for one in stand_in.signed]
    assert methods == ["GET", "POST", "PUT", "GET", "DELETE", "GET"]
    assert set(stand_in.verdicts) == {SIGNED}


async def test_go_ovh_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn, program: Path
) -> None:
    result = await run_client(*BY_URL, program, flags=("--rule", "GET /me"))

    assert (result.code, result.keys) == (1, [])
    assert "403" in result.err
    assert "POST /domain/zone/example.org/record" in result.err
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]
