"""Files, environment and flags together."""

import time

import pytest

from ovh_proxy.config.live import LiveSettings
from ovh_proxy.config.loader import load_store
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    DEFAULT_LISTENERS,
    Listener,
    LogSettings,
    Settings,
    TcpAddress,
    Timeouts,
    UnixAddress,
)

STORE = """\
profiles:
  a: {endpoint: ovh-eu, access_token: AT1}
  b: {endpoint: ovh-ca, access_token: AT2}
"""


def test_live_settings_return_the_settings_last_set():
    settings = Settings()

    assert LiveSettings(settings).current is settings


def test_a_store_alone_is_enough(machine):
    store = machine.write("home/.config/ovh-proxy/credentials.yaml", STORE)

    loaded = machine.load()

    assert loaded.store.source == store
    assert loaded.store.files == (store,)
    assert loaded.store.is_fallback is False
    assert loaded.store.default_profile is None
    assert loaded.source is None
    assert loaded.listen == DEFAULT_LISTENERS
    assert loaded == Settings(store=loaded.store)


def test_flags_override_the_file(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", "default: a\n" + STORE)
    config = machine.write(
        "etc/ovh-proxy/ovh-proxy.yaml",
        "listen: [127.0.0.1:1]\nworkers: 2\nadmin_listen: 127.0.0.1:2\n"
        "timeouts: {drain_delay_s: 1, drain_s: 5}\nlog: {level: error, format: json}\n",
    )

    loaded = machine.load(
        listen=("[::1]:3", "unix:/s"),
        admin_listen="0.0.0.0:4",
        workers=3,
        drain_delay=0.5,
        log_level="debug",
        log_format="auto",
        profile="b",
    )

    assert loaded.listen == (Listener(TcpAddress("::1", 3)), Listener(UnixAddress("/s")))
    assert loaded.admin_listen == TcpAddress("0.0.0.0", 4)
    assert loaded.workers == 3
    assert loaded.timeouts == Timeouts(drain_s=5.0, drain_delay_s=0.5)
    assert loaded.log == LogSettings(format="auto", level="debug")
    assert loaded.store.default == "b"
    assert loaded.source == config


@pytest.mark.parametrize(
    ("flags", "source", "message"),
    [
        ({"listen": ("8080",)}, "--listen", "address '8080' has no host"),
        ({"listen": ("0.0.0.0:80",)}, "--listen", "0.0.0.0:80 and use your keys"),
        ({"admin_listen": "9090"}, "--admin-listen", "address '9090' has no host"),
        ({"workers": 0}, "--workers", "0 is out of range; use 1 to 256"),
        ({"drain_delay": -1.0}, "--drain-delay", "expected a number of seconds, got '-1.0'"),
        ({"drain_delay": float("nan")}, "--drain-delay", "expected a number of seconds, got 'nan'"),
        ({"log_level": "inf"}, "--log-level", "unknown value 'inf'; did you mean 'info'?"),
        ({"log_format": "xml"}, "--log-format", "unknown value 'xml'; use text, json or auto"),
        ({"profile": "aa"}, "--profile", "unknown profile 'aa'; did you mean 'a'?"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_problem_of_a_flag_names_the_flag(machine, flags, source, message):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)

    problems = machine.problems(**flags)

    assert [(p.source, p.line, p.path) for p in problems] == [(source, 0, "")]
    assert message in problems[0].message


@pytest.mark.parametrize(
    "changes",
    [
        {"listen": ("0.0.0.0:80",), "allow_open": True},
        {"admin_listen": "0.0.0.0:80"},
    ],
    ids=["allowed", "admin"],
)
def test_exposed_listeners_can_be_allowed_and_the_admin_listener_always_is(machine, changes):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)

    loaded = machine.load(**changes)

    assert TcpAddress("0.0.0.0", 80) in (loaded.listen[0].address, loaded.admin_listen)


def test_a_flag_may_listen_for_other_machines_if_there_are_clients(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    config = machine.write("s.yaml", "clients: [{name: ci, token: {env: TOKEN}}]\n")

    loaded = machine.load(config=config, environ={"TOKEN": "T"}, listen=("0.0.0.0:80",))

    assert loaded.clients[0].name == "ci"


def test_hosts_are_checked_against_the_listeners_of_flags(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    config = machine.write("s.yaml", "hosts: [a.b]\nlisten: [unix:/s]\n")

    problems = machine.problems(config=config, listen=("127.0.0.1:80",))

    assert [p.path for p in problems] == ["hosts"]


@pytest.mark.parametrize(
    "changes",
    [
        {"credentials": "none.yaml"},
        {"environ": {"OVH_PROXY_CREDENTIALS": "none.yaml"}},
        {"config": "none.yaml"},
        {"environ": {"OVH_PROXY_CONFIG": "none.yaml"}},
    ],
    ids=str,
)
def test_a_named_file_that_does_not_exist_is_a_problem(machine, changes):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    machine.write("etc/ovh-proxy/ovh-proxy.yaml", "workers: 1\n")

    problems = machine.problems(**changes)

    assert [p.source for p in problems] == [str(machine.root / "cwd" / "none.yaml")]
    assert "does not exist" in problems[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\n\xff", "is not UTF-8 text (line 2)"),
        (b"#" * 1_048_577, "is larger than 1048576 bytes"),
    ],
    ids=["not UTF-8", "large"],
)
def test_a_file_that_is_not_text_is_a_problem(machine, text, message):
    store = machine.write("c.yaml", text)
    config = machine.write("s.yaml", text)

    problems = machine.problems(credentials=store, config=config)

    assert [p.source for p in problems] == [store, config]
    assert all(message in p.message for p in problems)


def test_a_directory_is_not_a_store(machine):
    assert "is a directory" in str(machine.problems(credentials="."))


def test_a_byte_order_mark_is_no_problem(machine):
    store = machine.write("c.yaml", b"\xef\xbb\xbf" + STORE.encode())

    assert set(machine.load(credentials=store).store.profiles) == {"a", "b"}


def test_a_store_that_others_may_read_is_rejected_with_a_remedy(machine):
    store = machine.write("c.yaml", STORE, mode=0o644)

    problems = machine.problems(credentials=store)

    assert f"run: chmod 600 {store}" in problems[0].message


def test_a_store_that_others_may_read_can_be_allowed(machine):
    store = machine.write("c.yaml", STORE, mode=0o644)

    assert machine.load(credentials=store, allow_loose_permissions=True).store.source == store


def test_settings_may_be_read_by_others(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    config = machine.write("s.yaml", "workers: 2\n", mode=0o644)

    assert machine.load(config=config).workers == 2


def test_references_of_both_files_are_resolved_relative_to_their_file(machine):
    machine.write("one/key", "K1\n")
    machine.write("two/key", "T1\n")
    store = machine.write(
        "one/c.yaml",
        "profiles:\n"
        "  a: {endpoint: ovh-eu, application_key: {env: AK}, application_secret: {file: key},"
        " consumer_key: {command: [cat, key]}}\n"
        "  b: {endpoint: ovh-eu, client_id: {env: AK}, client_secret: {file: ~/key}}\n"
        "  c: {endpoint: ovh-eu, access_token: {file: key}}\n",
    )
    machine.write("home/key", "K2")
    config = machine.write("two/s.yaml", "clients: [{name: ci, token: {file: key}}]\n")

    loaded = machine.load(
        credentials=store, config=config, environ={"AK": "AK1", "PATH": "/usr/bin:/bin"}
    )

    credential = loaded.store.profiles["a"].credential
    assert credential.application_key == Secret("AK1")
    assert credential.application_secret == credential.consumer_key == Secret("K1")
    assert loaded.store.profiles["b"].credential.client_id == "AK1"
    assert loaded.store.files == (
        store,
        str(machine.root / "one" / "key"),
        str(machine.root / "home" / "key"),
    )


def test_the_problem_of_an_unresolvable_reference_has_its_path(machine):
    store = machine.write(
        "c.yaml",
        "profiles:\n  a:\n    endpoint: ovh-eu\n    application_key: {env: NO_SUCH}\n"
        "    application_secret: {file: none}\n    consumer_key: {command: [nope, S3CRET]}\n"
        "  b: {endpoint: ovh-eu, access_token: {keyring: [a, b]}}\n",
    )

    problems = machine.problems(credentials=store)

    assert [(p.line, p.path) for p in problems] == [
        (4, "profiles.a.application_key"),
        (5, "profiles.a.application_secret"),
        (6, "profiles.a.consumer_key"),
        (7, "profiles.b.access_token"),
    ]
    assert "S3CRET" not in str(problems)


def test_a_command_that_hangs_is_a_problem_and_commands_of_both_files_run_together(machine):
    command = "{command: [sleep, '60']}"
    store = machine.write(
        "c.yaml", f"profiles: {{a: {{endpoint: ovh-eu, access_token: {command}}}}}"
    )
    config = machine.write("s.yaml", f"clients: [{{name: ci, token: {command}}}]\n")
    started = time.monotonic()

    problems = machine.problems(
        credentials=store, config=config, command_limit_s=1, environ={"PATH": "/usr/bin:/bin"}
    )

    assert time.monotonic() - started < 1.9
    assert [p.message[:25] for p in problems] == ["sleep did not finish with"] * 2


def test_the_store_is_loaded_without_reading_the_settings(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    machine.write("etc/ovh-proxy/ovh-proxy.yaml", "nonsense\n")

    assert load_store(machine.sources(profile="b")).default == "b"


def test_a_store_with_problems_is_not_loaded(machine):
    machine.write("etc/ovh-proxy/credentials.yaml", "profiles: {}\n")

    with pytest.raises(ConfigurationError, match="no profiles; "):
        load_store(machine.sources(profile="b"))


def test_the_configuration_of_the_sdks_is_loaded_as_a_store(machine):
    store = load_store(machine.sources(environ={"OVH_ACCESS_TOKEN": "AT1"}))

    assert set(store.profiles) == {"ovh-eu"}


def test_without_credentials_the_searched_paths_and_the_remedies_are_named(machine):
    (problem,) = machine.problems(profile="x")

    for path in ("home/.config/ovh-proxy/credentials.yaml", "etc/ovh-proxy/credentials.yaml"):
        assert str(machine.root / path) in problem.message
    for remedy in ("./ovh.conf", "~/.ovh.conf", "OVH_*", "`ovh-proxy login`", "`ovh-proxy demo`"):
        assert remedy in problem.message
