from pathlib import Path

import pytest
import yaml
from support.ended import Ask

pytestmark = pytest.mark.asyncio

CONF = """\
[default]
endpoint=ovh-eu

[ovh-eu]
application_key=made-up-key
application_secret=made-up-secret
consumer_key=made-up-consumer

[profile:robot]
endpoint=ovh-ca
client_id=EU.0123456789abcdef
client_secret=made-up-client-secret
"""
SECRETS = ("made-up-key", "made-up-secret", "made-up-consumer", "made-up-client-secret")


@pytest.fixture
def conf(home: Path) -> Path:
    """A user's SDK configuration."""
    path = home / ".ovh.conf"
    path.write_text(CONF)
    return path


@pytest.fixture
def store(home: Path) -> Path:
    """The path of the store."""
    return home / ".config" / "ovh-proxy" / "credentials.yaml"


async def test_the_sdks_keys_are_written_to_the_store(ask: Ask, conf: Path, store: Path) -> None:
    ended = await ask("import", "--yes")

    assert (ended.code, ended.err) == (0, "")
    assert yaml.safe_load(store.read_text()) == {
        "default": "ovh-eu",
        "profiles": {
            "ovh-eu": {
                "endpoint": "ovh-eu",
                "application_key": "made-up-key",
                "application_secret": "made-up-secret",
                "consumer_key": "made-up-consumer",
            },
            "robot": {
                "endpoint": "ovh-ca",
                "client_id": "EU.0123456789abcdef",
                "client_secret": "made-up-client-secret",
            },
        },
    }
    assert not [secret for secret in SECRETS if secret in ended.out]
    assert "    application_secret: ***" in ended.out
    assert "from ~/.ovh.conf" in ended.out
    assert conf.read_text() == CONF


async def test_one_profile_of_a_file_can_be_imported(
    ask: Ask, home: Path, conf: Path, store: Path
) -> None:
    other = conf.rename(home / "other.conf")

    ended = await ask("import", "--yes", "--from", other, "--profile", "robot")

    assert ended.code == 0
    assert list(yaml.safe_load(store.read_text())["profiles"]) == ["robot"]


async def test_keys_in_variables_can_become_references(start: Ask, conf: Path, store: Path) -> None:
    ended = await start("import", "--yes", "--keep-env", OVH_CONSUMER_KEY="made-up-elsewhere")

    assert ended.code == 0, ended.err
    profile = yaml.safe_load(store.read_text())["profiles"]["ovh-eu"]
    assert profile["consumer_key"] == {"env": "OVH_CONSUMER_KEY"}
    assert profile["application_key"] == "made-up-key"
    assert "{env: OVH_CONSUMER_KEY}" in ended.out


async def test_a_profile_is_overwritten_only_with_force(ask: Ask, conf: Path, store: Path) -> None:
    await ask("import", "--yes")
    conf.write_text(CONF.replace("made-up-secret", "another"))
    before = store.read_text()

    refused = await ask("import", "--yes")
    unchanged = store.read_text()
    forced = await ask("import", "--yes", "--force")

    assert (refused.code, refused.out, unchanged) == (2, "", before)
    assert f"{store} already has ovh-eu, robot; use --force to overwrite" in refused.err
    assert forced.code == 0
    assert "ovh-eu (overwritten)" in forced.out
    assert store.read_text() == before.replace("made-up-secret", "another")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "cannot ask for confirmation without a terminal; use --yes"),
        (
            ("--yes", "--profile", "robt"),
            "--profile: unknown profile 'robt'; did you mean 'robot'?",
        ),
        (("--yes", "--from", "none"), "none: does not exist"),
    ],
)
async def test_unconfirmed_or_unknown_profiles_are_not_written(
    ask: Ask, conf: Path, store: Path, flags: tuple[str, ...], message: str
) -> None:
    ended = await ask("import", *flags)

    assert ended.code == 2
    assert message in ended.err
    assert not store.exists()


async def test_nothing_to_import_is_an_error(ask: Ask, store: Path) -> None:
    ended = await ask("import", "--yes")

    assert (ended.code, ended.out) == (2, "")
    assert "no keys in ./ovh.conf, ~/.ovh.conf, /etc/ovh.conf or OVH_*" in ended.err
    assert not store.exists()


async def test_removed_quotes_are_shown_before_the_import(ask: Ask, home: Path) -> None:
    (home / ".ovh.conf").write_text('[ovh-eu]\naccess_token="made-up-token"\n')

    ended = await ask("import", "--yes")

    assert ended.code == 0
    assert "~/.ovh.conf:2: access_token: the quotes around the value were removed" in ended.out
    assert "made-up-token" not in ended.out
