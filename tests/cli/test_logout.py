from pathlib import Path

import pytest
import yaml
from support.command import write_store
from support.ended import Ask

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


@pytest.fixture
def store(home: Path, sandbox: Sandbox) -> Path:
    """A store with a profile of each kind."""
    return write_store(home, sandbox)


def _profile(store: Path) -> dict[str, str]:
    profile: dict[str, str] = yaml.safe_load(store.read_text())["profiles"]["personal"]
    return profile


async def test_a_key_is_revoked_and_forgotten(ask: Ask, store: Path, sandbox: Sandbox) -> None:
    ended = await ask("logout", "--credentials", store, "--yes")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"Profile personal: OVHcloud has revoked the key.\nForgotten: it was kept in {store}.\n"
    )
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "expired"
    assert list(_profile(store)) == ["endpoint", "application_key", "application_secret"]


@pytest.mark.parametrize("change", ["revoked", "expired"])
async def test_a_key_that_is_gone_already_is_forgotten_too(
    ask: Ask, store: Path, sandbox: Sandbox, change: str
) -> None:
    if change == "revoked":
        sandbox.grants.revoke(grants.CONSUMER_KEY)
    else:
        sandbox.grants.set_state(grants.CONSUMER_KEY, "expired")

    ended = await ask("logout", "--credentials", store, "--yes")

    assert ended.code == 0
    assert "OVHcloud did not know the key any more" in ended.out
    assert "consumer_key" not in _profile(store)


async def test_a_key_that_may_not_revoke_itself_is_kept(
    ask: Ask, store: Path, sandbox: Sandbox
) -> None:
    sandbox.grants.set_rules(grants.CONSUMER_KEY, (("GET", "/me"),))

    ended = await ask("logout", "--credentials", store, "--yes")

    assert (ended.code, ended.out) == (1, "")
    assert "its rules do not include POST /auth/logout" in ended.err
    assert "consumer_key" in _profile(store)


async def test_a_profile_without_a_key_has_nothing_to_revoke(ask: Ask, store: Path) -> None:
    await ask("logout", "--credentials", store, "--yes")

    ended = await ask("logout", "--credentials", store, "--yes")

    assert ended.code == 0
    assert ended.out == "Profile personal has no consumer key; nothing was done.\n"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "there is no terminal to ask on: give --yes"),
        (("--yes", "--profile", "robot"), "of another kind (service account)"),
        (("--yes", "--profile", "persnal"), "did you mean personal?"),
    ],
)
async def test_what_cannot_be_revoked_leaves_all_as_it_is(
    ask: Ask, store: Path, sandbox: Sandbox, flags: tuple[str, ...], told: str
) -> None:
    before = store.read_text()

    ended = await ask("logout", "--credentials", store, *flags)

    assert (ended.code, ended.out, store.read_text()) == (2, "", before)
    assert told in ended.err
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "validated"


async def test_a_key_of_the_environment_is_revoked_and_left_to_its_owner(
    start: Ask, store: Path, sandbox: Sandbox
) -> None:
    store.write_text(store.read_text().replace(grants.CONSUMER_KEY, "{env: CK}"))

    ended = await start("logout", "--credentials", store, "--yes", CK=grants.CONSUMER_KEY)

    assert ended.code == 1
    assert "has revoked the key" in ended.out
    assert "the key could not be forgotten" in ended.err
    assert "environment variable CK" in ended.err
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "expired"
