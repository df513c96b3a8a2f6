"""The environment of CMD of `exec`; the sandbox stands in for OVHcloud's hosts."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from support.command import environment
from support.ended import Ask
from support.stand_in import SIGNED, StandIn, stand_in

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.account_routes import ME

__all__ = ["stand_in"]

pytestmark = pytest.mark.asyncio

SHOWN = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_no_key_is_in_the_environment(start: Ask, stand_in: StandIn) -> None:
    keys = ("OVH_APPLICATION_SECRET", "OVH_AK", "LEXICON_OVH_AUTH_CONSUMER_KEY", "OVH_APP_SECRET")

    ended = await start(
        *("exec", *stand_in.flags, "--", sys.executable, "-c", SHOWN),
        **dict.fromkeys(keys, "S3CRET"),
    )

    found = json.loads(ended.out)
    assert "S3CRET" not in ended.out
    assert not any(key in ended.out for key in (grants.APPLICATION_KEY, grants.CONSUMER_KEY))
    ours = {name for name in found if name.startswith("OVH_")}
    assert ours == {"OVH_ENDPOINT", "OVH_ACCESS_TOKEN", "OVH_PROXY_URL"}


async def test_the_key_of_the_authority_is_not_in_a_file(
    start: Ask, home: Path, stand_in: StandIn
) -> None:
    script = 'cat "$(dirname "$SSL_CERT_FILE")"/* "$NODE_EXTRA_CA_CERTS"'

    ended = await start(
        *("exec", *stand_in.flags, "--", "sh", "-c", script),
        OVH_PROXY_STATE_DIR=str(home / "state"),
    )

    assert "BEGIN CERTIFICATE" in ended.out
    assert "PRIVATE" not in ended.out
    assert not (home / "state").exists()


async def test_made_up_keys_work_with_python_ovh(start: Ask, stand_in: StandIn) -> None:
    script = "import json, ovh; print(json.dumps(ovh.Client().get('/me')))"

    ended = await start(
        "exec", *stand_in.flags, "--made-up-keys", "--", sys.executable, "-c", script
    )

    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["nichandle"] == ME["nichandle"]
    assert stand_in.verdicts == [SIGNED]


async def test_made_up_keys_need_a_profile(start: Ask, stand_in: StandIn) -> None:
    stand_in.write(stand_in.store.read_text().replace("default: personal\n", ""))

    ended = await start("exec", *stand_in.flags, "--made-up-keys", "true")

    assert ended.code == 2
    assert "use --profile with personal, robot or card" in ended.err


async def test_certificates_that_the_user_trusts_stay_trusted(
    start: Ask, home: Path, stand_in: StandIn
) -> None:
    script = "import os; print(open(os.environ['SSL_CERT_FILE']).read())"

    ended = await start(
        *("exec", *stand_in.flags, "--", sys.executable, "-c", script),
        SSL_CERT_FILE=str(stand_in.ca_file),
    )

    assert stand_in.ca_file.read_text().splitlines()[1] in ended.out
    assert ended.out.count("BEGIN CERTIFICATE") == 2


ENDS = {
    "exits": ("exit 0", None, 0),
    "killed": ("kill -KILL $$", None, -9),
    "SIGTERM": ("exec sleep 60", signal.SIGTERM, -15),
}


@pytest.mark.parametrize(("ending", "number", "code"), ENDS.values(), ids=ENDS.keys())
async def test_the_certificates_are_deleted_after_the_command(
    home: Path, stand_in: StandIn, ending: str, number: int | None, code: int
) -> None:
    scratch = home / "scratch"
    scratch.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "exec", *stand_in.flags, "--"),
        *(
            "sh",
            "-c",
            f'dirname "$SSL_CERT_FILE"; stat -c %a "$(dirname "$SSL_CERT_FILE")"; {ending}',
        ),
        cwd=home,
        env=environment(home, TMPDIR=str(scratch)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        directory = Path((await process.stdout.readline()).decode().strip())
        mode = (await process.stdout.readline()).decode().strip()
        exists = directory.parent == scratch and (number is None or directory.is_dir())

        if number is not None:
            process.send_signal(number)
        ended = await process.wait()

    assert (exists, mode, ended) == (True, "700", code)
    assert list(scratch.iterdir()) == []


async def test_only_env_runs_nothing(start: Ask, stand_in: StandIn) -> None:
    ended = await start("exec", "--only-env", *stand_in.flags, "true")

    assert ended.code == 2
    assert "runs nothing" in ended.err
