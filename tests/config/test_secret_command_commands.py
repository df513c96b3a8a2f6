"""Commands that print secrets, when settings are loaded."""

import subprocess
import sys
import time

import pytest

from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.secret import Secret

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs a shell")

STORE = """\
profiles:
  a:
    endpoint: ovh-eu
    application_key: {{file: key}}
    application_secret: {{command: [/bin/sh, -c, {command!r}]}}
    consumer_key: {{file: key}}
"""
RECORDED = "echo run >> runs; echo S"


@pytest.fixture
def store(machine):
    """Writes a store with a command, and a file that the store refers to."""

    def write(command):
        machine.write("key", "K1")
        return machine.write("credentials.yaml", STORE.format(command=command))

    return write


def runs(machine):
    return (machine.root / "runs").read_text().count("run")


def test_a_start_runs_a_command_once(machine, store):
    watch = SettingsWatcher(machine.sources(credentials=store(RECORDED)))

    settings = watch.load()

    assert settings.store.profiles["a"].credential.application_secret == Secret("S")
    assert runs(machine) == 1


def test_a_reload_runs_a_command_once(machine, store):
    watch = SettingsWatcher(machine.sources(credentials=store(RECORDED)), pause=lambda _: None)
    watch.load()
    machine.write("key", "K2")

    loaded = watch.reload()

    assert loaded.settings.store.profiles["a"].credential.consumer_key == Secret("K2")
    assert runs(machine) == 2


def test_a_file_that_changes_during_a_slow_command_is_read_again(machine, store):
    once = "test -e once || { sleep 0.1; touch once; echo K2 > key; }; echo S"
    watch = SettingsWatcher(machine.sources(credentials=store(once)))

    settings = watch.load()

    assert settings.store.profiles["a"].credential.consumer_key == Secret("K2")
    assert not watch.has_changed()


def test_a_process_whose_command_hangs_ends(machine, store):
    script = """\
import sys
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.config.sources import Sources
from ovh_proxy.config.live import SettingsWatcher
try:
    SettingsWatcher(Sources(credentials=sys.argv[1], command_limit_s=0.5)).load()
except ConfigurationError as failure:
    sys.exit(str(failure))
"""
    began = time.monotonic()

    ended = subprocess.run(
        [sys.executable, "-c", script, store("sleep 60")],
        timeout=20,
        capture_output=True,
        check=False,
        text=True,
    )

    assert time.monotonic() - began < 10
    assert "profiles.a.application_secret: " in ended.stderr
    assert "did not finish within 0.5 s" in ended.stderr


def test_a_command_may_take_ten_seconds():
    assert Sources().command_limit_s == 10.0
