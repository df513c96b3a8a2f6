import asyncio
import hashlib
import json
import sys
from pathlib import Path

import pytest
from support.command import environment, running
from support.ended import Ask, Ended
from support.stand_in import SIGNED, StandIn, stand_in
from support.tools import tool

from ovh_proxy.sandbox.account_routes import ME

__all__ = ["stand_in"]

pytestmark = pytest.mark.asyncio

TOKEN = "token-of-the-client"
CLIENTS = (
    f"clients: [{{name: ci, token: {{sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}}}}}]\n"
)
INTERCEPT = "intercept: true\nintercept_others: tunnel\n"
ME_URL = "https://eu.api.ovh.com/1.0/me"


async def in_a_shell(home: Path, stand_in: StandIn, url: str, script: str, **env: str) -> Ended:
    """Runs a script in a shell that evaluates what `env` prints."""
    command = f"{sys.executable} -m ovh_proxy env --url {url} {' '.join(stand_in.flags)}"
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'set -e; out="$({command})"; eval "$out"; {script}'),
        cwd=home,
        env=environment(home, **env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def state(home: Path) -> dict[str, str]:
    """A state directory, so that the proxy and `env` use the same authority."""
    return {"OVH_PROXY_STATE_DIR": str(home / "state")}


async def test_a_shell_calls_ovhcloud_s_own_hosts(home: Path, stand_in: StandIn) -> None:
    stand_in.write(settings=CLIENTS + INTERCEPT)
    script = f'{tool("curl")} --silent --show-error {ME_URL}; {tool("curl")} -s "$OVH_ENDPOINT/me" \
        -H "Authorization: Bearer $OVH_ACCESS_TOKEN"'
    async with running(stand_in.home, "run", *stand_in.flags, env=state(home)) as proxy:
        ended = await in_a_shell(
            home, stand_in, proxy.url, script, OVH_PROXY_TOKEN=TOKEN, **state(home)
        )

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(str(ME["nichandle"])) == 2
    verdicts = [one.verdict for one in stand_in.signed if one.target == b"/1.0/me"]
    assert verdicts == [SIGNED, SIGNED]


async def test_a_listener_with_automatic_tls_is_trusted(home: Path, stand_in: StandIn) -> None:
    stand_in.write(settings=CLIENTS)
    listen = "listen: [{tcp: '127.0.0.1:0', tls: auto}]"
    stand_in.config.write_text(
        stand_in.config.read_text().replace("listen: ['127.0.0.1:0']", listen)
    )
    script = f"""{tool("curl")} --silent --show-error "$OVH_ENDPOINT/me" \
        -H "Authorization: Bearer $OVH_ACCESS_TOKEN"; echo "${{HTTPS_PROXY-none}}" """
    async with running(stand_in.home, "run", *stand_in.flags, env=state(home)) as proxy:
        ended = await in_a_shell(
            home, stand_in, proxy.url, script, OVH_PROXY_TOKEN=TOKEN, **state(home)
        )

    assert (ended.code, ended.err) == (0, "")
    assert str(ME["nichandle"]) in ended.out
    assert ended.out.endswith("none\n")


async def test_repeating_it_changes_nothing(start: Ask, home: Path, stand_in: StandIn) -> None:
    stand_in.write(settings=CLIENTS + INTERCEPT)
    environ = {"OVH_PROXY_TOKEN": TOKEN, **state(home)}
    printed: dict[str, str] = {}
    bundles = set()
    async with running(stand_in.home, "run", *stand_in.flags, env=state(home)) as proxy:
        line = ("env", *stand_in.flags, "--url", proxy.url, "--format", "json")
        for _ in range(3):
            printed = json.loads((await start(*line, **(printed | environ))).out)
            bundles.add(Path(printed["SSL_CERT_FILE"]).read_text())

    assert len(bundles) == 1
    assert printed["NO_PROXY"] == "localhost,127.0.0.1,::1"


async def test_a_proxy_that_rejects_other_hosts_causes_a_warning(
    start: Ask, home: Path, stand_in: StandIn
) -> None:
    stand_in.write(settings="intercept: true\n")
    async with running(stand_in.home, "run", *stand_in.flags, env=state(home)) as proxy:
        ended = await start("env", *stand_in.flags, "--url", proxy.url, **state(home))

    assert f"export HTTPS_PROXY={proxy.url}" in ended.out.splitlines()
    assert "set intercept_others: tunnel" in ended.err


@pytest.mark.parametrize(
    ("flags", "line"),
    [((), "export OVH_PROXY_URL="), (("--format", "dotenv"), "OVH_PROXY_URL=")],
    ids=["shell", "dotenv"],
)
async def test_exec_only_env_prints_the_same(
    start: Ask, stand_in: StandIn, flags: tuple[str, ...], line: str
) -> None:
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        url = {"OVH_PROXY_URL": proxy.url}
        ended = await start("exec", "--only-env", *flags, *stand_in.flags, **url)
        env = await start("env", *flags, *stand_in.flags, **url)

    assert (ended.code, ended.out) == (0, env.out)
    assert line + proxy.url in ended.out.splitlines()
