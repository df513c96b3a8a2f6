"""A key that waits for its owner: what is kept of it, and what is taken for one."""

import pytest
import yaml

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.pending_keys import (
    PendingKey,
    forget_pending,
    keep_pending,
    pending_path,
    read_pending,
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
    """Where the key of a profile waits, and nothing does yet."""
    return pending_path("personal", machine.sources())


def test_it_is_read_as_it_was_kept(path):
    keep_pending(path, PENDING)

    assert read_pending(path) == PENDING


def test_it_is_for_its_owner_alone(path):
    keep_pending(path, PENDING)

    assert [one.stat().st_mode & 0o777 for one in (path, path.parent)] == [0o600, 0o700]


def test_where_nothing_waits_there_is_none(path):
    keep_pending(path, PENDING)
    forget_pending(path)
    forget_pending(path)

    assert read_pending(path) is None


def changed(**fields):
    """The text of a file that waits, some of its fields changed."""

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
        pytest.param(changed(port="http"), id="a port that is none"),
        pytest.param(changed(port=65_536), id="a port beyond all"),
        pytest.param(changed(validation_url="http://evil.example/"), id="a page without TLS"),
        pytest.param(changed(validation_url="file:///etc/passwd"), id="a page of this machine"),
    ],
)
def test_a_file_that_is_none_is_to_be_deleted_and_shows_no_key(path, damage):
    keep_pending(path, PENDING)
    path.write_text(damage(path.read_text()))

    with pytest.raises(CommandFailed, match="holds no pending key; delete it") as caught:
        read_pending(path)

    assert KEY not in str(caught.value)


def test_a_file_that_others_can_read_is_refused(path):
    keep_pending(path, PENDING)
    path.chmod(0o644)

    with pytest.raises(CommandFailed, match=r"personal\.yaml .*chmod 600"):
        read_pending(path)


def test_where_it_cannot_be_kept_it_is_told_what_to_set(machine, path):
    machine.write("home/.local/state", "a file")

    with pytest.raises(CommandFailed, match="set OVH_PROXY_STATE_DIR"):
        keep_pending(path, PENDING)
