"""Watching and reloading the files of the settings."""

import os

import pytest

from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.loader import load
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.secret import Secret

STORE = """\
profiles:
  a:
    endpoint: ovh-eu
    access_token: {file: token}
"""


@pytest.fixture
def store(machine):
    """A store at its default path, with a referenced file."""
    machine.write("home/.config/ovh-proxy/token", "T1\n")
    return machine.write("home/.config/ovh-proxy/credentials.yaml", STORE)


@pytest.fixture
def watch(machine, store):
    """A watcher that has loaded the store, and does not pause for changing files."""
    watch = SettingsWatcher(machine.sources(), pause=lambda _: None)
    watch.load()
    return watch


def token_of(loaded):
    return loaded.settings.store.profiles["a"].credential.access_token


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def rename_over(path, text):
    write(f"{path}~", text)
    os.chmod(f"{path}~", 0o600)
    os.replace(f"{path}~", path)


def test_unchanged_files_have_not_changed(watch):
    assert not watch.has_changed()


@pytest.mark.parametrize("change", [write, rename_over], ids=["written", "renamed"])
@pytest.mark.parametrize("name", ["credentials.yaml", "token"])
def test_a_changed_file_is_detected(machine, watch, change, name):
    change(machine.root / "home/.config/ovh-proxy" / name, "something else")

    assert watch.has_changed()


@pytest.mark.parametrize(
    "name", ["home/.config/ovh-proxy/ovh-proxy.yaml", "etc/ovh-proxy/ovh-proxy.yaml"]
)
def test_settings_that_are_created_later_are_loaded(machine, watch, name):
    machine.write(name, "log: {level: debug}\n")

    assert watch.has_changed()
    assert watch.reload().settings.log.level == "debug"


def test_a_token_file_of_a_client_is_watched(machine, store):
    token = machine.write("token-of-ci", "one")
    machine.write(
        "etc/ovh-proxy/ovh-proxy.yaml", f"clients: [{{name: ci, token: {{file: {token}}}}}]"
    )
    watch = SettingsWatcher(machine.sources(), pause=lambda _: None)
    before = watch.load().clients[0].digest

    write(token, "two")

    assert watch.has_changed()
    assert watch.reload().settings.clients[0].digest != before


def test_a_changed_link_is_detected(machine):
    for name in ("one", "two"):
        machine.write(f"{name}/credentials.yaml", STORE)
        machine.write(f"{name}/token", name)
    link = machine.root / "..data"
    link.symlink_to("one")
    watch = SettingsWatcher(
        machine.sources(credentials=f"{link}/credentials.yaml"), pause=lambda _: None
    )
    watch.load()

    (machine.root / "new").symlink_to("two")
    os.replace(machine.root / "new", link)

    assert watch.has_changed()
    assert token_of(watch.reload()) == Secret("two")
    assert not watch.has_changed()


def test_a_fixed_mode_is_detected(machine, store, watch):
    os.chmod(store, 0o644)
    refused = watch.reload()

    os.chmod(store, 0o600)

    assert refused.settings is None
    assert watch.has_changed()
    assert watch.reload().settings is not None


def test_a_file_that_is_missing_from_a_store_is_watched(machine, store, watch):
    write(store, STORE.replace("token}", "later}"))
    broken = watch.reload()

    machine.write("home/.config/ovh-proxy/later", "T2\n")

    assert "does not exist" in str(broken.problems[0])
    assert watch.has_changed()
    assert token_of(watch.reload()) == Secret("T2")


def test_a_store_that_disappears_is_a_problem_and_no_other_account_is_used(machine, store, watch):
    machine.write("home/.ovh.conf", "[default]\nendpoint=ovh-eu\n[ovh-eu]\naccess_token=OTHER\n")

    os.unlink(store)

    assert watch.has_changed()
    assert [(p.source, "does not exist" in p.message) for p in watch.reload().problems] == [
        (store, True)
    ]


def test_a_new_store_replaces_the_sdks_configuration(machine):
    machine.write("home/.ovh.conf", "[ovh-eu]\napplication_key=A\napplication_secret=B\n")
    watch = SettingsWatcher(machine.sources(), pause=lambda _: None)
    was_fallback = watch.load().store.is_fallback

    store = machine.write(
        "home/.config/ovh-proxy/credentials.yaml", STORE.replace("{file: token}", "T")
    )

    assert was_fallback
    assert watch.has_changed()
    assert watch.reload().settings.store.source == store


def test_a_file_that_changes_while_it_is_read_is_read_again(machine, store):
    changes = iter([lambda: rename_over(store, STORE.replace("{file: token}", "T2"))])

    def read(sources):
        loaded = load(sources)
        next(changes, lambda: None)()
        return loaded

    watch = SettingsWatcher(machine.sources(), read)

    assert watch.load().store.profiles["a"].credential.access_token == Secret("T2")


def test_files_that_keep_changing_are_left_for_the_next_reload(machine, store):
    numbers = iter(range(100))
    keeps_changing = False

    def read(sources):
        loaded = load(sources)
        if keeps_changing:
            rename_over(store, f"# {next(numbers)}\n{STORE}")
        return loaded

    watch = SettingsWatcher(machine.sources(), read, pause=lambda _: None)
    watch.load()

    keeps_changing = True

    write(store, f"{STORE}# touched\n")
    assert watch.reload() is None
    assert watch.has_changed()


def test_a_reload_waits_for_a_file_that_is_being_written(machine, store):
    texts = iter([STORE[:20], STORE.replace("a:", "a: "), STORE.replace("{file: token}", "T2")])

    def write_on(_):
        for text in texts:
            write(store, text)
            return

    watch = SettingsWatcher(machine.sources(), pause=write_on)
    watch.load()

    assert token_of(watch.reload()) == Secret("T2")


def test_a_pipe_is_read_once(machine):
    ours, theirs = os.pipe()
    os.write(theirs, STORE.replace("{file: token}", "T").encode())
    os.close(theirs)
    watch = SettingsWatcher(
        machine.sources(credentials=f"/dev/fd/{ours}", allow_loose_permissions=True)
    )

    first = watch.load()

    os.close(ours)
    assert set(first.store.profiles) == {"a"}


def test_all_problems_of_the_first_load_are_raised(machine):
    with pytest.raises(ConfigurationError) as caught:
        SettingsWatcher(machine.sources(credentials="none.yaml", config="none.yaml")).load()

    assert len(caught.value.problems) == 2
