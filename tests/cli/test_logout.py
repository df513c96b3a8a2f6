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
    """A store with a profile for each kind of credential."""
    return write_store(home, sandbox)


def _profile(store: Path) -> dict[str, str]:
    profile: dict[str, str] = yaml.safe_load(store.read_text())["profiles"]["personal"]
    return profile


async def test_a_key_is_revoked_and_deleted(ask: Ask, store: Path, sandbox: Sandbox) -> None:
    ended = await ask("logout", "--credentials", store, "--yes")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (f"Profile personal: OVHcloud revoked the key.\nDeleted from {store}.\n")
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "expired"
    assert list(_profile(store)) == ["endpoint", "application_key", "application_secret"]


@pytest.mark.parametrize("change", ["revoked", "expired"])
async def test_a_key_that_ovhcloud_no_longer_knows_is_deleted_too(
    ask: Ask, store: Path, sandbox: Sandbox, change: str
) -> None:
    if change == "revoked":
        sandbox.grants.revoke(grants.CONSUMER_KEY)
    else:
        sandbox.grants.set_state(grants.CONSUMER_KEY, "expired")

    ended = await ask("logout", "--credentials", store, "--yes")

    assert ended.code == 0
    assert "OVHcloud no longer knew the key" in ended.out
    assert "consumer_key" not in _profile(store)


async def test_a_key_that_may_not_revoke_itself_is_not_deleted(
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
    assert ended.out == "Profile personal has no consumer key; nothing changed.\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "cannot ask for confirmation without a terminal; use --yes"),
        (("--yes", "--profile", "robot"), "of the kind 'service account'"),
        (
            ("--yes", "--profile", "persnal"),
            "--profile: unknown profile 'persnal'; did you mean 'personal'?",
        ),
    ],
)
async def test_a_refused_logout_changes_nothing(
    ask: Ask, store: Path, sandbox: Sandbox, flags: tuple[str, ...], message: str
) -> None:
    before = store.read_text()

    ended = await ask("logout", "--credentials", store, *flags)

    assert (ended.code, ended.out, store.read_text()) == (2, "", before)
    assert message in ended.err
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "validated"


async def test_a_key_from_the_environment_is_revoked_but_not_deleted(
    start: Ask, store: Path, sandbox: Sandbox
) -> None:
    store.write_text(store.read_text().replace(grants.CONSUMER_KEY, "{env: CK}"))

    ended = await start("logout", "--credentials", store, "--yes", CK=grants.CONSUMER_KEY)

    assert ended.code == 1
    assert "OVHcloud revoked the key" in ended.out
    assert "the key cannot be deleted" in ended.err
    assert "environment variable CK" in ended.err
    assert sandbox.grants.consumer_keys[grants.CONSUMER_KEY].state == "expired"
