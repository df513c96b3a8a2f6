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
    ("days", "flags", "code", "told"),
    [
        (2.5, (), 0, "the consumer key ends in 2 days"),
        (8.5, (), 0, None),
        (2.5, ("--expires-within", "7d"), 1, "the consumer key ends in 2 days"),
        (2.5, ("--expires-within", "1d"), 0, None),
        (20.5, ("--expires-within", "30d"), 1, "the consumer key ends in 20 days"),
    ],
)
async def test_a_key_that_ends_soon_is_told_and_fails_where_that_is_asked_for(
    ask: Ask,
    home: Path,
    sandbox: Sandbox,
    days: float,
    flags: tuple[str, ...],
    code: int,
    told: str | None,
) -> None:
    sandbox.grants.expire_at(grants.CONSUMER_KEY, time.time() + days * DAY_S)
    store = write_store(home, sandbox)

    ended = await ask("check", "--profile", "personal", *flags, "--credentials", store)

    assert ended.code == code
    assert (told or "") in ended.out
    assert ("ends in" in ended.out) == (told is not None)
    assert ("-> get a new one in time: ovh-proxy login" in ended.out) == (code == 1)


async def test_what_is_no_time_is_2(ask: Ask) -> None:
    ended = await ask("check", "--expires-within", "soon")

    assert ended.code == 2


async def test_rules_that_the_key_does_not_have_are_told(
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
        "the store grants what the key does not, and OVHcloud refuses: "
        "GET /ip; POST /me; DELETE /a; and 1 more"
    ) in ended.out


async def test_a_store_that_others_may_read_is_told_where_it_is_allowed(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)
    store.chmod(0o644)
    flags = ("check", "--offline", "--allow-loose-permissions", "--credentials", store)

    shown, told = await ask(*flags), json.loads((await ask(*flags, "--json")).out)

    assert shown.code == 0
    assert shown.out.splitlines()[-1] == (
        f"{store}: is accessible to other users (mode 0644); run: chmod 600 {store}"
    )
    assert told["warnings"] == [shown.out.splitlines()[-1]]
