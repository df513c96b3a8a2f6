import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import environment, write_store
from support.ended import Ask

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

LOGIN = "run: ovh-proxy login --profile personal"


def _row(out: str, profile: str) -> list[str]:
    """The cells of a profile's row."""
    line = next(line for line in out.splitlines() if line.startswith(f"{profile} "))
    return re.split(r"  +", line)


def _below(out: str, profile: str) -> list[str]:
    """The lines below it."""
    lines = out.splitlines()
    first = lines.index(next(line for line in lines if line.startswith(f"{profile} "))) + 1
    end = next((i for i in range(first, len(lines)) if lines[i][:1] != " "), len(lines))
    return [line.strip() for line in lines[first:end]]


async def test_profiles_that_work_are_ok(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    where = f"127.0.0.1:{sandbox.port}"
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == f"{store}: 4 profiles, personal by default"
    assert _row(ended.out, "PROFILE") == [
        "PROFILE", "ENDPOINT", "CLOCK", "CREDENTIAL", "EXPIRES", "VERDICT"
    ]  # fmt: skip
    for name, credential, expires in (
        ("personal", "application keys, validated", "never"),
        ("runabove", "application keys, validated", "never"),
        ("robot", "service account, valid", "-"),
        ("card", "access token, valid", "-"),
    ):
        assert _row(ended.out, name) == [name, where, "+0 s", credential, expires, "ok"]
    assert _below(ended.out, "personal") == ["the key grants: GET,POST,PUT,DELETE /*"]


async def test_the_rules_of_the_key_and_of_the_store_are_shown(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    sandbox.grants.set_rules(grants.CONSUMER_KEY, tuple(("GET", f"/{i}") for i in range(8)))
    store = write_store(home, sandbox, extra="    access_rules: [GET /me, 'GET,PUT /ip/*']\n")

    ended = await ask("check", "--credentials", store)

    assert _below(ended.out, "personal") == [
        "the key grants: GET /0; GET /1; GET /2; GET /3; GET /4; GET /5; and 2 more"
    ]
    assert _below(ended.out, "card") == ["the store grants: GET /me; GET,PUT /ip/*"]


async def test_the_expiry_of_a_key_is_shown(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    sandbox.grants.expire_at(grants.CONSUMER_KEY, time.time() + 12.5 * 86_400)
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    assert (ended.code, _row(ended.out, "personal")[4]) == (0, "in 12 days")


@pytest.mark.parametrize(
    ("state", "message", "advice"),
    [
        ("pendingValidation", "is not validated yet", "open its validation URL, or get a new key"),
        ("refused", "owner refused", "run: ovh-proxy login"),
        ("expired", "has expired", "run: ovh-proxy login"),
    ],
)
async def test_a_key_that_is_not_valid_fails_with_a_remedy(
    ask: Ask, home: Path, sandbox: Sandbox, state: str, message: str, advice: str
) -> None:
    sandbox.grants.set_state(grants.CONSUMER_KEY, state)
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    problem, remedy, _ = _below(ended.out, "personal")
    assert (ended.code, ended.err) == (1, "")
    assert _row(ended.out, "personal")[3:] == [f"application keys, {state}", "never", "FAILS"]
    assert message in problem
    assert remedy.startswith(f"-> {advice}")
    assert _row(ended.out, "robot")[-1] == "ok"


async def test_a_revoked_key_fails_with_a_remedy(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    sandbox.grants.revoke(grants.CONSUMER_KEY)
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    assert ended.code == 1
    assert _row(ended.out, "personal")[3] == "application keys, revoked"
    assert _below(ended.out, "personal")[1] == f"-> {LOGIN}"


@pytest.mark.parametrize(
    ("right", "profile", "state", "remedy"),
    [
        (grants.APPLICATION_KEY, "personal", "unknown application", "correct application_key"),
        (grants.APPLICATION_SECRET, "personal", "wrong secret", "correct application_secret"),
        (grants.CONSUMER_KEY, "personal", "revoked", LOGIN),
        (grants.CLIENT_SECRET, "robot", "refused", "correct client_id and client_secret"),
        (grants.ACCESS_TOKEN, "card", "refused", "create a new token and put it into the store"),
    ],
    ids=["application key", "application secret", "consumer key", "client secret", "token"],
)
async def test_each_wrong_secret_has_its_own_remedy(
    ask: Ask, home: Path, sandbox: Sandbox, right: str, profile: str, state: str, remedy: str
) -> None:
    store = write_store(home, sandbox)
    store.write_text(store.read_text().replace(right, "Wr0ngW0rd"))

    ended = await ask("check", "--credentials", store)

    assert ended.code == 1
    assert _row(ended.out, profile)[3].endswith(f", {state}")
    assert _row(ended.out, profile)[5] == "FAILS"
    assert _below(ended.out, profile)[1].startswith(f"-> {remedy}")
    assert "Wr0ngW0rd" not in ended.out + ended.err


async def test_without_a_consumer_key_the_remedy_is_login(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)
    store.write_text(store.read_text().replace(f"    consumer_key: {grants.CONSUMER_KEY}\n", ""))

    ended = await ask("check", "--profile=personal", "--credentials", store)

    assert ended.code == 1
    assert _row(ended.out, "personal")[3] == "application keys, missing"
    assert _below(ended.out, "personal")[1] == f"-> {LOGIN}"


async def test_an_endpoint_that_does_not_respond_fails_every_profile(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)
    await sandbox.stop()

    ended = await ask("check", "--credentials", store)

    assert ended.code == 1
    for profile in ("personal", "runabove", "robot", "card"):
        assert _row(ended.out, profile)[2:] == ["-", *_row(ended.out, profile)[3:5], "FAILS"]
        assert _below(ended.out, profile)[0] == f"127.0.0.1:{sandbox.port} refuses connections"
        assert _below(ended.out, profile)[1].startswith("-> check the endpoint's spelling")


async def test_an_endpoint_without_a_clock_fails_keys_but_not_tokens(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    sandbox.faults.always("status=404", path="/auth/time")
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    assert _below(ended.out, "personal")[1].startswith(
        "-> check that the endpoint is an OVHcloud API"
    )
    assert _row(ended.out, "card")[2:] == ["-", "access token, valid", "-", "ok"]


async def test_a_wrong_clock_is_only_a_warning(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    sandbox.clock_offset = -300.0
    store = write_store(home, sandbox)

    ended = await ask("check", "--credentials", store)

    row = _row(ended.out, "personal")
    assert (ended.code, row[-1]) == (0, "ok")
    assert re.fullmatch(r"-(299|300|301) s", row[2])
    assert re.match(
        r"this machine's clock is off by (299|300|301) s; ", _below(ended.out, "personal")[0]
    )


async def test_with_a_profile_only_that_one_is_checked(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    sandbox.grants.revoke(grants.CONSUMER_KEY)
    store = write_store(home, sandbox)

    ended = await ask("check", "--profile", "card", "--credentials", store)

    assert ended.code == 0
    assert "personal " not in ended.out


async def test_offline_makes_no_requests(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox, extra="    access_rules: [GET /me]\n")

    ended = await ask("check", "--offline", "--credentials", store)

    assert (ended.code, ended.err, sandbox.requests) == (0, "", [])
    assert _row(ended.out, "robot") == ["robot", f"127.0.0.1:{sandbox.port}", "service account"]
    assert _below(ended.out, "card") == ["the store grants: GET /me"]


async def test_json_has_every_result(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    sandbox.grants.set_rules(grants.CONSUMER_KEY, (("GET", "/me"),))
    sandbox.grants.expire_at(grants.CONSUMER_KEY, 4_000_000_000)
    store = write_store(home, sandbox, extra="    access_rules: [GET /me]\n")

    ended = await ask("check", "--json", "--credentials", store)

    report = json.loads(ended.out)
    personal, *_, card = report["profiles"]
    assert (ended.code, ended.err) == (0, "")
    assert (report["ok"], report["default"], report["problems"]) == (True, "personal", [])
    assert report["source"] == str(store)
    assert abs(personal.pop("clock_delta_seconds")) < 5
    assert personal == {
        "profile": "personal",
        "endpoint": sandbox.base_url,
        "base_url": sandbox.base_url,
        "credential": "application keys",
        "state": "validated",
        "ok": True,
        "reachable": True,
        "expires": "2096-10-02T07:06:40+00:00",
        "key_rules": ["GET /me"],
        "access_rules": None,
        "problem": None,
        "remedy": None,
        "warnings": [],
    }
    assert (card["state"], card["access_rules"]) == ("valid", ["GET /me"])


async def test_json_has_the_problem_of_a_profile(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)
    await sandbox.stop()

    ended = await ask("check", "--json", "--profile=personal", "--credentials", store)

    report = json.loads(ended.out)
    assert (ended.code, report["ok"]) == (1, False)
    assert report["profiles"][0]["reachable"] is False
    assert report["profiles"][0]["problem"] == f"127.0.0.1:{sandbox.port} refuses connections"


PROBLEMS = """\
default: nosuch
profiles:
  personal:
    endpoint: ovh-xx
    application_key: A
    application_secret: {file: nosuch}
"""


@pytest.mark.parametrize("flags", [[], ["--offline"], ["--json"]], ids=["", "offline", "json"])
async def test_every_problem_of_the_files_is_printed_and_the_exit_code_is_2(
    ask: Ask, home: Path, flags: list[str]
) -> None:
    store = home / "credentials.yaml"
    store.write_text(PROBLEMS)
    store.chmod(0o600)

    ended = await ask("check", *flags, "--credentials", store)

    assert ended.code == 2
    lines = ended.err.splitlines()
    assert all(line.startswith(f"ovh-proxy: {store}:") for line in lines)
    for part in (":1: default: ", ":4: profiles.personal.endpoint: ", ":6: profiles.personal."):
        assert any(part in line for line in lines)


async def test_json_has_the_problems_of_the_files(ask: Ask, home: Path) -> None:
    store = home / "credentials.yaml"
    store.write_text(PROBLEMS)
    store.chmod(0o600)

    ended = await ask("check", "--json", "--credentials", store)

    report = json.loads(ended.out)
    assert (report["ok"], report["profiles"]) == (False, [])
    assert len(report["problems"]) == len(ended.err.splitlines())
    assert report["problems"][0]["path"] == "default"
    assert (report["problems"][0]["source"], report["problems"][0]["line"]) == (str(store), 1)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda store: store.write_text("profiles: {}\n"),
        lambda store: store.write_text(""),
        lambda store: store.mkdir(),
        lambda store: store.symlink_to("nowhere"),
        lambda store: None,
    ],
    ids=["no profiles", "empty", "a directory", "a dangling link", "no file"],
)
async def test_a_store_without_profiles_exits_with_2(
    ask: Ask, home: Path, arrange: Callable[[Path], object]
) -> None:
    store = home / "credentials.yaml"
    arrange(store)
    if store.is_file():
        store.chmod(0o600)

    ended = await ask("check", "--credentials", store)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"ovh-proxy: {store}")


async def test_the_verdict_is_coloured_on_a_terminal(home: Path, sandbox: Sandbox) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    sandbox.grants.revoke(grants.CONSUMER_KEY)
    terminal, child_terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "check", "--credentials", write_store(home, sandbox)),
        env=environment(home, TERM="xterm"),
        stdout=child_terminal,
    )
    os.close(child_terminal)

    code = await asyncio.wait_for(process.wait(), 30)

    output = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert code == 1
    assert "\x1b[31mFAILS\x1b[0m" in output
    assert "\x1b[32mok\x1b[0m" in output
