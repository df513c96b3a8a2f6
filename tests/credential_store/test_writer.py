import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ovh_proxy.config.files import locked
from ovh_proxy.config.loader import load_store
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import CommandFailed, ConfigurationError
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.writer import StoreWriter

KEYS = {
    "endpoint": "ovh-eu",
    "application_key": Secret("made-up-key"),
    "application_secret": Secret("made-up-secret"),
}
STORE = """\
# Whose keys these are.
default: "personal"   # mine

profiles:
    # the account of the shop
    personal: &shop
        endpoint: 'ovh-eu'
        application_key: 0123
        # made in May
        application_secret: {env: SECRET}   # from the unit file

        # what the shop needs
        access_rules:
          - GET /me   # who am I
          - "GET /order"

    # runs the nightly jobs
    robot:
        endpoint: ovh-eu
        application_key: 1e5
        application_secret: made-up
        consumer_key: "old"   # by login

    # the last
    card: {endpoint: ovh-eu, access_token: made-up}
    twin: *shop
# the end
"""
STEPS = (
    *("locked", "checked", "cleared", "created", "written", "synced", "renamed"),
    "directory synced",
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with everything that a change must preserve."""
    return _write(tmp_path / "credentials.yaml", STORE)


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def _sources(path: Path, **environ: str) -> Sources:
    return Sources(credentials=str(path), environ={"SECRET": "made-up", **environ})


def _writer(path: Path, step: Callable[[str], None] = lambda name: None) -> StoreWriter:
    return StoreWriter(path, _sources(path), step, wait_s=30)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _fork() -> "multiprocessing.context.ForkContext":
    return multiprocessing.get_context("fork")


def test_the_first_profile_makes_a_private_store(tmp_path: Path) -> None:
    path = tmp_path / "config" / "ovh-proxy" / "credentials.yaml"

    _writer(path).put_profiles({"personal": KEYS})

    assert path.read_text() == (
        "default: personal\n"
        "profiles:\n"
        "  personal:\n"
        "    endpoint: ovh-eu\n"
        "    application_key: made-up-key\n"
        "    application_secret: made-up-secret\n"
    )
    assert (_mode(path.parent.parent), _mode(path.parent), _mode(path)) == (0o700, 0o700, 0o600)


@pytest.mark.parametrize("text", ["# mine\n", "profiles:\n", "profiles: {}\n", ""])
def test_a_store_without_profiles_gets_its_first(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path / "credentials.yaml", text)

    _writer(path).put_profiles({"personal": KEYS})

    assert load_store(_sources(path)).default == "personal"
    assert text.startswith("#") <= path.read_text().startswith("# mine\n")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (
            "personal",
            "SECRET}   # from the unit file\n",
            "SECRET}   # from the unit file\n        consumer_key: new\n",
        ),
        ("robot", '"old"   # by login', '"new"   # by login'),
    ],
    ids=["added", "replaced"],
)
def test_a_new_consumer_key_changes_only_its_line(
    store: Path, name: str, before: str, after: str
) -> None:
    where = _writer(store).put_consumer_key(name, Secret("new"))

    assert where == str(store)
    assert store.read_text() == STORE.replace(before, after)


def test_forgetting_a_key_keeps_the_comments_below_it(store: Path) -> None:
    where = _writer(store).forget("robot")

    assert where == str(store)
    assert store.read_text() == STORE.replace('        consumer_key: "old"   # by login\n', "")


def test_forgetting_the_first_field_keeps_the_comments_below_it(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "credentials.yaml",
        "profiles:\n  a:\n    consumer_key: x\n    # where\n    endpoint: ovh-eu\n"
        "    application_key: k\n    application_secret: s\n",
    )

    _writer(path).forget("a")

    assert "  a:\n    # where\n    endpoint: ovh-eu\n" in path.read_text()


def test_a_new_profile_does_not_change_the_others(store: Path) -> None:
    _writer(store).put_profiles({"new": {**KEYS, "access_rules": ("GET /me", "* /sms")}})

    assert set(STORE.splitlines()) < set(store.read_text().splitlines())
    added = load_store(_sources(store)).profiles["new"]
    assert [str(rule) for rule in added.access_rules or ()] == ["GET /me", "* /sms"]


def test_a_profile_is_replaced_only_on_request(store: Path) -> None:
    with pytest.raises(CommandFailed, match=r"already in .*: robot"):
        _writer(store).put_profiles({"robot": KEYS})

    assert store.read_text() == STORE


def test_replacing_a_profile_keeps_the_comment_of_the_next(store: Path) -> None:
    _writer(store).put_profiles({"robot": KEYS}, replaces=True)

    text = store.read_text()
    assert "        application_secret: made-up-secret\n\n    # the last\n    card:" in text
    assert "old" not in text


@pytest.mark.parametrize("key", ["0123", "true", "1e5", "null", "2026-01-01"])
def test_a_key_that_yaml_reads_as_another_type_stays_text(store: Path, key: str) -> None:
    _writer(store).put_consumer_key("personal", Secret(key))

    credential = load_store(_sources(store)).profiles["personal"].credential
    assert credential.consumer_key == Secret(key)  # type: ignore[union-attr]


def test_windows_line_ends_are_preserved(tmp_path: Path) -> None:
    path = tmp_path / "credentials.yaml"
    path.write_bytes(STORE.replace("\n", "\r\n").encode())
    path.chmod(0o600)

    _writer(path).put_consumer_key("robot", Secret("new"))

    assert path.read_bytes() == STORE.replace('"old"', '"new"').replace("\n", "\r\n").encode()


def test_a_key_in_a_file_is_written_there_and_the_reference_stays(tmp_path: Path) -> None:
    text = STORE.replace('"old"', "{file: secrets/robot}")
    path = _write(tmp_path / "credentials.yaml", text)

    where = _writer(path).put_consumer_key("robot", Secret("new"))

    key_file = tmp_path / "secrets" / "robot"
    assert (where, key_file.read_text(), _mode(key_file)) == (str(key_file), "new\n", 0o600)
    assert path.read_text() == text


def test_forgetting_a_key_deletes_its_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "credentials.yaml", STORE.replace('"old"', "{file: robot}"))
    key_file = _write(tmp_path / "robot", "old\n")

    where = _writer(path).forget("robot")

    assert (where, key_file.exists()) == (str(key_file), False)
    assert "robot}" not in path.read_text()


@pytest.mark.parametrize(
    ("reference", "named"),
    [("{env: CK}", "environment variable CK"), ("{command: [pass, show]}", "command pass")],
)
def test_a_key_of_the_environment_or_a_command_is_not_written(
    tmp_path: Path, reference: str, named: str
) -> None:
    text = STORE.replace('"old"', reference)
    path = _write(tmp_path / "credentials.yaml", text)

    with pytest.raises(CommandFailed, match=f"{named}.*--print"):
        _writer(path).put_consumer_key("robot", Secret("new"))

    assert path.read_text() == text


def test_a_store_that_is_a_link_is_followed(tmp_path: Path, store: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(store)

    _writer(link).put_consumer_key("robot", Secret("new"))

    assert link.is_symlink()
    assert store.read_text() == STORE.replace('"old"', '"new"')


def test_a_store_with_problems_is_not_changed(tmp_path: Path) -> None:
    path = _write(tmp_path / "credentials.yaml", STORE + "nonsense: 1\n")

    with pytest.raises(ConfigurationError, match="nonsense"):
        _writer(path).put_profiles({"new": KEYS})

    assert path.read_text() == STORE + "nonsense: 1\n"


def test_an_invalid_result_is_not_written(store: Path) -> None:
    with pytest.raises(ConfigurationError, match="endpoint"):
        _writer(store).put_profiles({"new": {"access_token": Secret("made-up")}})

    assert store.read_text() == STORE
    assert sorted(os.listdir(store.parent)) == [".credentials.yaml.lock", "credentials.yaml"]


def test_a_store_that_others_may_read_is_rejected(store: Path) -> None:
    store.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        _writer(store).forget("robot")


def test_a_profile_that_no_longer_exists_is_named(store: Path) -> None:
    with pytest.raises(CommandFailed, match="no longer has a profile 'ghost'"):
        _writer(store).put_consumer_key("ghost", Secret("new"))


def test_an_unwritable_store_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    _write(tmp_path / "plain", "")

    with pytest.raises(CommandFailed, match=r"cannot write .*--credentials"):
        _writer(tmp_path / "plain" / "credentials.yaml").put_profiles({"new": KEYS})


def test_a_write_waits_for_another_writer_and_times_out(store: Path) -> None:
    with (
        locked(store),
        pytest.raises(CommandFailed, match=r"another ovh-proxy.* within 0\.1 s"),
    ):
        StoreWriter(store, _sources(store), wait_s=0.1).forget("robot")

    assert store.read_text() == STORE


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("fatal", STEPS)
def test_a_crash_at_any_step_leaves_the_old_store_or_the_new_one(store: Path, fatal: str) -> None:
    new = STORE.replace('"old"', '"new"')

    def crash() -> None:
        # 77, to distinguish a crash from a step that is never reached.
        _writer(store, lambda name: os._exit(77) if name == fatal else None).put_consumer_key(
            "robot", Secret("new")
        )

    process = _fork().Process(target=crash)
    process.start()
    process.join(30)

    assert process.exitcode == 77
    is_there = STEPS.index(fatal) >= STEPS.index("renamed")
    assert store.read_text() == (new if is_there else STORE)
    assert _mode(store) == 0o600
    _writer(store).put_consumer_key("robot", Secret("new"))
    assert store.read_text() == new
    assert sorted(os.listdir(store.parent)) == [".credentials.yaml.lock", "credentials.yaml"]


def test_the_steps_of_a_write_are_complete(store: Path) -> None:
    steps: list[str] = []

    _writer(store, steps.append).put_consumer_key("robot", Secret("new"))

    assert tuple(steps) == STEPS


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_concurrent_writers_lose_no_changes(tmp_path: Path) -> None:
    path = tmp_path / "credentials.yaml"
    names = [f"profile-{number}" for number in range(8)]
    context = _fork()
    start = context.Event()

    def write(name: str) -> None:
        start.wait(30)
        _writer(path).put_profiles({name: KEYS})

    processes = [context.Process(target=write, args=(name,)) for name in names]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)

    assert {process.exitcode for process in processes} == {0}
    assert sorted(load_store(_sources(path)).profiles) == names


def test_the_keyring_replaces_the_text(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ring = _keyring(tmp_path, monkeypatch)

    where = _writer(store).put_consumer_key(
        "robot", Secret("new"), Reference("keyring", ("ovh-proxy", "robot"))
    )

    assert where == "the system's keyring"
    assert ring.read_text() == "set ovh-proxy robot new\n"
    assert "consumer_key: {keyring: [ovh-proxy, robot]} # by login" in store.read_text()
    _writer(store).forget("robot")
    assert ring.read_text().endswith("delete ovh-proxy robot\n")
    assert "keyring" not in store.read_text()


def _keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake library that records its calls."""
    calls = tmp_path / "ring"
    library = tmp_path / "library"
    library.mkdir()
    (library / "keyring.py").write_text(
        "from pathlib import Path\n"
        "def record(*words):\n"
        f"    with Path({str(calls)!r}).open('a') as calls: print(*words, file=calls)\n"
        "def set_password(*words): record('set', *words)\n"
        "def delete_password(*words): record('delete', *words)\n"
    )
    monkeypatch.syspath_prepend(library)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    return calls


KEY = "7kbG7Bk7S9Nt7ZSV"


@pytest.mark.parametrize("kind", ["env", "command"])
def test_a_key_in_place_of_the_name_of_an_unwritable_place_is_not_shown(
    tmp_path: Path, kind: str
) -> None:
    named = KEY if kind == "env" else f"[{KEY}, show]"
    text = STORE.replace('"old"', f"{{{kind}: {named}}}")
    path = _write(tmp_path / "credentials.yaml", text)

    with pytest.raises(CommandFailed, match="name not shown") as caught:
        _writer(path).put_consumer_key("robot", Secret("new"))

    assert KEY not in str(caught.value)


def test_a_key_in_place_of_the_path_of_its_file_is_not_shown(tmp_path: Path) -> None:
    path = _write(tmp_path / "credentials.yaml", STORE.replace('"old"', f"{{file: {KEY}}}"))

    where = _writer(path).put_consumer_key("robot", Secret("new"))

    assert where == f"{tmp_path}/(name not shown, it may be a secret)"
