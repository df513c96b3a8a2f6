import json
import time
from pathlib import Path

import pytest
from support.command import write_store
from support.ended import Ask

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

DAY_S = 86_400


@pytest.mark.parametrize(
    ("days", "flags", "code", "message"),
    [
        (2.5, (), 0, "the consumer key expires in 2 days"),
        (8.5, (), 0, None),
        (2.5, ("--expires-within", "7d"), 1, "the consumer key expires in 2 days"),
        (2.5, ("--expires-within", "1d"), 0, None),
        (20.5, ("--expires-within", "30d"), 1, "the consumer key expires in 20 days"),
    ],
)
async def test_a_key_that_expires_soon_is_a_warning_or_with_the_flag_a_failure(
    ask: Ask,
    home: Path,
    sandbox: Sandbox,
    days: float,
    flags: tuple[str, ...],
    code: int,
    message: str | None,
) -> None:
    sandbox.grants.expire_at(grants.CONSUMER_KEY, time.time() + days * DAY_S)
    store = write_store(home, sandbox)

    ended = await ask("check", "--profile", "personal", *flags, "--credentials", store)

    assert ended.code == code
    assert (message or "") in ended.out
    assert ("expires in" in ended.out) == (message is not None)
    assert ("-> get a new one in time: ovh-proxy login" in ended.out) == (code == 1)


async def test_an_invalid_duration_exits_with_2(ask: Ask) -> None:
    ended = await ask("check", "--expires-within", "soon")

    assert ended.code == 2
    assert "--expires-within: invalid duration 'soon'; use" in ended.err


async def test_rules_that_the_key_does_not_grant_are_a_warning(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    sandbox.grants.set_rules(grants.CONSUMER_KEY, (("GET", "/me"), ("GET", "/ip/*")))
    store = write_store(home, sandbox)
    rules = "    access_rules: [read-only /ip, 'GET,POST /me', DELETE /a, PUT /b]\n"
    text = store.read_text()
    store.write_text(text.replace("  runabove:", f"{rules}  runabove:"))

    ended = await ask("check", "--profile", "personal", "--credentials", store)

    assert ended.code == 0
    assert (
        "the store grants calls that the key does not grant; OVHcloud rejects them: "
        "GET /ip; POST /me; DELETE /a; and 1 more"
    ) in ended.out


async def test_loose_permissions_are_a_warning_if_they_are_allowed(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)
    store.chmod(0o644)
    flags = ("check", "--offline", "--allow-loose-permissions", "--credentials", store)

    table, report = await ask(*flags), json.loads((await ask(*flags, "--json")).out)

    assert table.code == 0
    assert table.out.splitlines()[-1] == (
        f"{store}: is accessible to other users (mode 0644); run: chmod 600 {store}"
    )
    assert report["warnings"] == [table.out.splitlines()[-1]]
