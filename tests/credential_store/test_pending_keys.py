"""Pending keys: how they are stored, and which files are accepted."""

import pytest
import yaml

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.pending_keys import (
    PendingKey,
    delete_pending,
    pending_path,
    read_pending,
    write_pending,
)

KEY = "MadeUpConsumerKeyThatWaits"
PENDING = PendingKey(
    "https://eu.api.ovh.com/1.0",
    Secret(KEY),
    "https://eu.api.ovh.com/auth/?credentialToken=made-up",
    ("GET /me", "POST /auth/logout"),
    4711,
)


@pytest.fixture
def path(machine):
    """The path of a pending key that does not exist yet."""
    return pending_path("personal", machine.sources())


def test_a_pending_key_is_read_as_it_was_written(path):
    write_pending(path, PENDING)

    assert read_pending(path) == PENDING


def test_a_pending_key_is_private(path):
    write_pending(path, PENDING)

    assert [one.stat().st_mode & 0o777 for one in (path, path.parent)] == [0o600, 0o700]


def test_a_deleted_pending_key_is_none(path):
    write_pending(path, PENDING)
    delete_pending(path)
    delete_pending(path)

    assert read_pending(path) is None


def changed(**fields):
    """A function that changes some fields of a file."""

    def text(before):
        return yaml.safe_dump({**yaml.safe_load(before), **fields})

    return text


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: "", id="nothing"),
        pytest.param(lambda text: text[: len(text) // 2], id="half of it"),
        pytest.param(lambda text: "{", id="no YAML"),
        pytest.param(lambda text: f"- {KEY}", id="a list"),
        pytest.param(changed(consumer_key=None), id="no key"),
        pytest.param(changed(consumer_key="two words"), id="a key of two words"),
        pytest.param(changed(rules=None), id="no rules"),
        pytest.param(changed(port="http"), id="a port that is no number"),
        pytest.param(changed(port=65_536), id="a port out of range"),
        pytest.param(changed(validation_url="http://evil.example/"), id="a page without TLS"),
        pytest.param(changed(validation_url="file:///etc/passwd"), id="a page of this machine"),
    ],
)
def test_the_problem_of_an_invalid_file_shows_no_key(path, damage):
    write_pending(path, PENDING)
    path.write_text(damage(path.read_text()))

    with pytest.raises(CommandFailed, match="has no valid pending key; delete it") as caught:
        read_pending(path)

    assert KEY not in str(caught.value)


def test_a_file_that_others_may_read_is_rejected(path):
    write_pending(path, PENDING)
    path.chmod(0o644)

    with pytest.raises(CommandFailed, match=r"personal\.yaml .*chmod 600"):
        read_pending(path)


def test_an_unwritable_directory_is_a_problem_with_a_remedy(machine, path):
    machine.write("home/.local/state", "a file")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR"):
        write_pending(path, PENDING)
