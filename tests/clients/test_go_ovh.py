import os
import subprocess
from pathlib import Path

import pytest
from support.clients import Through
from support.stand_in import SIGNED, StandIn
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

SOURCE = Path(__file__).parent / "scripts/go_ovh.go"
# Where Debian's golang-github-ovh-go-ovh-dev puts it.
GOPATH = Path("/usr/share/gocode")
BUILD_S = 120.0
# go-ovh of before 1.5 knows no access token; a client token may be the application key.
KEYS = "OVH_APPLICATION_KEY=$OVH_ACCESS_TOKEN OVH_APPLICATION_SECRET=none OVH_CONSUMER_KEY=none"
BY_URL = ("sh", "-c", f'{KEYS} exec "$0"')
WAYS = {"url": (BY_URL, ()), "interception": ((), ("--made-up-keys",))}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program over go-ovh."""
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


@pytest.mark.parametrize(("before", "flags"), WAYS.values(), ids=WAYS)
async def test_go_ovh_keeps_a_record(
    through: Through,
    stand_in: StandIn,
    program: Path,
    before: tuple[str, ...],
    flags: tuple[str, ...],
) -> None:
    seen = await through(*before, program, flags=flags)

    assert (seen.code, seen.keys) == (0, []), seen.err
    assert seen.out.split() == [ME["nichandle"], "192.0.2.78", "404"]
    methods = [one.method for one in stand_in.signed]
    assert methods == ["GET", "POST", "PUT", "GET", "DELETE", "GET"]
    assert set(stand_in.verdicts) == {SIGNED}


async def test_go_ovh_is_held_to_the_rules(
    through: Through, stand_in: StandIn, program: Path
) -> None:
    seen = await through(*BY_URL, program, flags=("--rule", "GET /me"))

    assert (seen.code, seen.keys) == (1, [])
    assert "403" in seen.err
    assert "POST /domain/zone/example.org/record" in seen.err
    assert [one.target for one in stand_in.signed] == [b"/1.0/me"]
