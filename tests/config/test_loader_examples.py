"""The examples in config/ load unchanged."""

from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def copied(machine):
    """A machine with both examples and the files that they name."""
    for name in ("credentials", "ovh-proxy"):
        text = (CONFIG / f"{name}.example.yaml").read_text(encoding="utf-8")
        machine.write(f"home/.config/ovh-proxy/{name}.yaml", text)
    for name in ("consumer_key", "client_secret", "access_token"):
        machine.write(f"home/.config/ovh-proxy/{name}", f"{name}-1\n")
    return machine


def test_the_examples_load(copied):
    environ = {"OVH_APPLICATION_SECRET": "AS1", "DESK_TOKEN": "T1", "PATH": "/usr/bin:/bin"}

    loaded = copied.load(environ=environ)

    assert set(loaded.store.profiles) == {"personal", "robot", "personal-access"}
    assert loaded.store.default == "personal"
    assert len(loaded.listen) == 3
    assert [client.name for client in loaded.clients] == ["ci", "desk"]


def test_missing_secrets_of_the_examples_are_reported(copied):
    problems = copied.problems(environ={"PATH": "/usr/bin:/bin"})

    assert {p.path for p in problems} == {
        "profiles.personal.application_secret",
        "clients[1].token",
    }
