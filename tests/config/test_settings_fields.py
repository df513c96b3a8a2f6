"""The keys of the server settings."""

import hashlib
from pathlib import Path

import pytest

from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.settings import (
    AutoTls,
    Client,
    HttpProxy,
    InheritedAddress,
    Limits,
    Listener,
    LogSettings,
    Retries,
    Settings,
    TcpAddress,
    Timeouts,
    TlsFiles,
    TracingSettings,
    UnixAddress,
    Upstream,
)

STORE = """\
profiles:
  personal: {endpoint: ovh-eu, access_token: AT1}
  robot: {endpoint: ovh-eu, access_token: AT2}
"""
DIGEST = hashlib.sha256(b"S3CRET").digest()
CI = f"clients:\n  - {{name: ci, token: {{sha256: {DIGEST.hex()}}}}}\n"


@pytest.fixture
def load(machine):
    """Loads server settings, with a valid store."""
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)

    def load(text: str, **changes) -> Settings:
        return machine.load(config=machine.write("ovh-proxy.yaml", text), **changes)

    return load


@pytest.fixture
def problems(machine):
    """Returns the problems of server settings, with a valid store."""
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)

    def problems(text: str, **changes):
        return machine.problems(config=machine.write("ovh-proxy.yaml", text), **changes)

    return problems


def test_without_settings_the_defaults_serve_one_user_on_one_machine(load):
    loaded = load("# nothing\n")

    assert loaded == Settings(store=loaded.store, source=loaded.source)


def test_all_forms_of_listeners_are_accepted(load, tmp_path):
    text = f"""\
listen:
  - 127.0.0.1:8080
  - fd:3
  - {{fd: 4}}
  - unix: /run/api.sock
    mode: 0660
    owner: app
    group: 1000
    uids: [1000, 0]
    profile: robot
  - unix: "@name"
    uids: [1]
  - tcp: 0.0.0.0:8443
    tls: {{cert: tls.crt, key: /etc/tls.key, client_ca: sub/ca.crt}}
    profiles: [robot, personal]
    clients: [ci]
admin_listen: 0.0.0.0:9090
{CI}"""

    loaded = load(text)

    assert loaded.listen == (
        Listener(TcpAddress("127.0.0.1", 8080)),
        Listener(InheritedAddress(3)),
        Listener(InheritedAddress(4)),
        Listener(
            UnixAddress("/run/api.sock"), 0o660, "app", "1000", frozenset({0, 1000}), ("robot",)
        ),
        Listener(UnixAddress("@name"), uids=frozenset({1})),
        Listener(
            TcpAddress("0.0.0.0", 8443),
            profiles=("robot", "personal"),
            clients=frozenset({"ci"}),
            tls=TlsFiles(
                str(tmp_path / "tls.crt"), "/etc/tls.key", str(tmp_path / "sub" / "ca.crt")
            ),
        ),
    )
    assert loaded.admin_listen == TcpAddress("0.0.0.0", 9090)


@pytest.mark.parametrize("where", ["tcp: 'localhost:1'", "fd: 3"])
def test_a_listener_may_have_certificates_of_our_own_authority(load, tmp_path, where):
    loaded = load(f"listen:\n  - {{{where}, tls: auto}}\n")

    (listener,) = loaded.listen
    assert listener.tls == AutoTls(str(tmp_path / "home" / ".local" / "state" / "ovh-proxy"))


@pytest.mark.parametrize("mode", ['"0600"', "0600", "0o600", '"0o600"'])
def test_a_mode_is_octal_with_or_without_quotes(load, mode):
    loaded = load(f"listen:\n  - {{unix: /s, mode: {mode}}}\n")

    assert loaded.listen[0].mode == 0o600


def test_clients_are_kept_by_the_digest_of_their_token(load, machine):
    machine.write("token", "S3CRET-2\n")
    text = f"""\
clients:
  - name: ci
    token: {{sha256: {DIGEST.hex().upper()}}}
    profiles: [robot]
    access_rules: [GET /me, read-only /ip]
    requests_per_minute: 60
  - {{name: desk, token: {{file: token}}, profile: personal}}
"""

    loaded = load(text)

    assert loaded.clients == (
        Client(
            "ci",
            DIGEST,
            ("robot",),
            tuple(AccessRule(frozenset({"GET"}), path) for path in ("/me", "/ip", "/ip/*")),
            60,
        ),
        Client("desk", hashlib.sha256(b"S3CRET-2").digest(), ("personal",)),
    )
    assert "S3CRET" not in repr(loaded)


def test_everything_else_is_read(load, tmp_path):
    text = f"""\
hosts: [Proxy.Internal., "[::2]"]
origins: [https://App.example:443]
limits: {{body_bytes: 10, memory_body_bytes: 9, headers: 3, requests_per_minute: null}}
timeouts: {{connect_s: 2.5, drain_delay_s: 0}}
retries: {{attempts: 1, on_status: [502, 503]}}
upstream: {{ca_file: ca.pem, proxy: "http://p:3128", connections: 2, keep_alive_s: 0.5}}
intercept: true
intercept_others: tunnel
workers: 2
log: {{format: json, level: debug, audit: audit.log}}
tracing: {{enabled: true, propagate: true}}
{CI}"""

    loaded = load(text)

    assert loaded.hosts == frozenset({"proxy.internal", "::2"})
    assert loaded.origins == frozenset({"https://app.example"})
    assert loaded.limits == Limits(body_bytes=10, memory_body_bytes=9, headers=3)
    assert loaded.timeouts == Timeouts(connect_s=2.5)
    assert loaded.retries == Retries(1, frozenset({502, 503}))
    assert loaded.upstream == Upstream(
        str(tmp_path / "ca.pem"), HttpProxy(TcpAddress("p", 3128)), 2, 0.5
    )
    assert (loaded.intercept, loaded.intercept_others) == (True, "tunnel")
    assert loaded.state_directory == str(tmp_path / "home" / ".local" / "state" / "ovh-proxy")
    assert loaded.workers == 2
    assert loaded.log == LogSettings("json", "debug", str(tmp_path / "audit.log"))
    assert loaded.tracing == TracingSettings(enabled=True, propagate=True)


def test_null_means_none(load):
    loaded = load(
        "limits: {requests_per_minute: null}\nupstream: {ca_file: null, proxy: ~}\nlog:\n  audit:\n"
    )

    assert loaded.limits == Limits()
    assert loaded.upstream == Upstream()
    assert loaded.log == LogSettings()


@pytest.mark.parametrize(
    "text",
    [
        CI + "hosts: [a.b]\n",
        "hosts: [a.b]\nlisten: [unix:/s]\n",
        "hosts: [a.b]\nlisten:\n  - {tcp: '127.0.0.1:1', tls: {cert: c, key: k}}\n",
        "hosts: []\n",
    ],
    ids=["clients", "unix sockets", "TLS", "no hosts"],
)
def test_hosts_are_allowed_if_web_pages_are_kept_out(load, text):
    assert load(text).hosts <= {"a.b"}


@pytest.mark.parametrize("changes", [{"allow_open": True}, {"listen": ("127.0.0.1:1",)}], ids=str)
def test_flags_can_allow_or_replace_an_exposed_listener(load, changes):
    loaded = load("listen: [0.0.0.0:8080]\n", **changes)

    assert loaded.allow_open is changes.get("allow_open", False)
    assert len(loaded.listen) == 1


def listener(text: str) -> str:
    return f"listen:\n  - {text}\n"


def client(text: str, line: str = "") -> str:
    return f"clients:\n  - name: ci\n    token: {text}\n{line}"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        pytest.param(
            "listn: []\n",
            1,
            "listn",
            "unknown key 'listn'; did you mean 'listen'?",
            id="unknown key",
        ),
        pytest.param("a: 1\n\nlistn: []\n", 1, "a", "unknown key 'a'; use listen, ", id="far key"),
        pytest.param("- a\n", 1, "", "expected a mapping, got a list", id="a list"),
        pytest.param("listen: []\n", 1, "listen", "no listeners", id="no listener"),
        pytest.param(
            "listen: 127.0.0.1:1\n",
            1,
            "listen",
            "expected a list, got '127.0.0.1:1'",
            id="one listener",
        ),
        pytest.param(listener("8080"), 2, "listen[0]", "write 127.0.0.1:8080", id="a port alone"),
        pytest.param(listener("[]"), 2, "listen[0]", "got a list", id="a list for a listener"),
        pytest.param(
            listener("0.0.0.0:8080"), 2, "listen[0]", "`clients` with a token each", id="exposed"
        ),
        pytest.param(listener("'[::]:8080'"), 2, "listen[0]", "--allow-open", id="exposed IPv6"),
        pytest.param(
            listener("{tcp: 'a.b:80'}"), 2, "listen[0]", "other machines", id="exposed by name"
        ),
        pytest.param(
            "clients: []\n" + listener("0.0.0.0:1"), 3, "listen[0]", "other", id="no clients"
        ),
        pytest.param(
            listener("{}"), 2, "listen[0]", "exactly one of tcp, unix, fd", id="no address"
        ),
        pytest.param(
            listener("{unix: /s, fd: 3}"), 2, "listen[0]", "exactly one of", id="two addresses"
        ),
        pytest.param(
            listener("{unix: /s/}"), 2, "listen[0].unix", "write unix:/PATH", id="no socket"
        ),
        pytest.param(listener("{fd: 1}"), 2, "listen[0].fd", "fd:3", id="standard output"),
        pytest.param(listener("{tcp: 80}"), 2, "listen[0].tcp", "has no host", id="no host"),
        pytest.param(
            listener("{unix: /s, prfile: robot}"), 2, "listen[0].prfile", "'profile'?", id="key"
        ),
        pytest.param(
            listener("{unix: /s, mode: 600}"), 2, "listen[0].mode", '"0660"', id="mode 600"
        ),
        pytest.param(
            listener("{unix: /s, mode: 384}"), 2, "listen[0].mode", "octal", id="mode 384"
        ),
        pytest.param(
            listener("{unix: /s, mode: '04600'}"), 2, "listen[0].mode", "octal", id="setuid"
        ),
        pytest.param(
            listener("{unix: '@n', mode: '0600'}"),
            2,
            "listen[0].mode",
            "with a path",
            id="abstract",
        ),
        pytest.param(
            listener("{fd: 3, owner: app}"), 2, "listen[0].owner", "remove it", id="owner of fd"
        ),
        pytest.param(
            listener("{fd: 3, uids: [1]}"),
            2,
            "listen[0].uids",
            "for a unix socket",
            id="uids of fd",
        ),
        pytest.param(
            listener("{unix: /s, uids: []}"), 2, "listen[0].uids", "allows no one", id="no uids"
        ),
        pytest.param(
            listener("{unix: /s, uids: [app]}"), 2, "listen[0].uids[0]", "whole number", id="uid"
        ),
        pytest.param(
            listener("{unix: /s, tls: {cert: a, key: b}}"),
            2,
            "listen[0].tls",
            "not for a unix",
            id="unix TLS",
        ),
        pytest.param(
            listener("{fd: 3, tls: on}"), 2, "listen[0].tls", "put it in quotes", id="tls: on"
        ),
        pytest.param(
            listener("{fd: 3, tls: full}"), 2, "listen[0].tls", "{cert: FILE", id="tls: full"
        ),
        pytest.param(
            listener("{fd: 3, tls: {cert: a}}"),
            2,
            "listen[0].tls.key",
            "missing key; PEM file",
            id="no key",
        ),
        pytest.param(
            listener("{fd: 3, profile: robt}"),
            2,
            "listen[0].profile",
            "mean 'robot'?",
            id="profile",
        ),
        pytest.param(
            listener("{fd: 3, profiles: [robt]}"),
            2,
            "listen[0].profiles[0]",
            "robot",
            id="profiles",
        ),
        pytest.param(
            listener("{fd: 3, profiles: []}"),
            2,
            "listen[0].profiles",
            "remove the key",
            id="no profiles",
        ),
        pytest.param(
            listener("{fd: 3, profile: robot, profiles: [robot]}"),
            2,
            "listen[0]",
            "exclude each other",
            id="both",
        ),
        pytest.param(
            listener("{fd: 3, clients: [x]}"),
            2,
            "listen[0].clients[0]",
            "unknown client 'x'; there are no clients",
            id="client",
        ),
        pytest.param(
            listener("{fd: 3, clients: []}"),
            2,
            "listen[0].clients",
            "allows no one",
            id="an empty list of clients",
        ),
        pytest.param("admin_listen: 9090\n", 1, "admin_listen", "has no host", id="admin"),
        pytest.param(
            "hosts: [a.b]\n", 1, "hosts", "TLS on every listener", id="hosts and no clients"
        ),
        pytest.param(
            "hosts: [a.b]\nlisten: [127.0.0.1:1]\n", 1, "hosts", "`clients`", id="hosts and plain"
        ),
        pytest.param("hosts: ['a.b:80']\n", 1, "hosts[0]", "has a port", id="host with port"),
        pytest.param("hosts: a.b\n", 1, "hosts", "expected a list, got 'a.b'", id="one host"),
        pytest.param("origins: ['*']\n", 1, "origins[0]", "scheme://host", id="any origin"),
        pytest.param("origins: [null]\n", 1, "origins[0]", "empty value", id="null origin"),
        pytest.param("clients:\n", 1, "clients", "expected a list, got nothing", id="null clients"),
        pytest.param(
            "clients: [ci]\n", 1, "clients[0]", "expected a mapping, got 'ci'", id="a name alone"
        ),
        pytest.param(
            client("S3CRET"), 3, "clients[0].token", "plain-text tokens", id="clear token"
        ),
        pytest.param(
            client("{sha256: S3CRET}"), 3, "clients[0].token.sha256", "64", id="short digest"
        ),
        pytest.param(
            client(f"{{sha256: {DIGEST.hex()}, env: S3CRET}}"),
            3,
            "clients[0].token.env",
            "unknown key 'env'; use sha256",
            id="digest and reference",
        ),
        pytest.param(client("{env: NO_SUCH}"), 3, "clients[0].token", "not set", id="unset token"),
        pytest.param(
            client("{evn: NO_SUCH}"), 3, "clients[0].token", "mean 'env'?", id="reference kind"
        ),
        pytest.param(
            client("{}"), 3, "clients[0].token", "exactly one of env, ", id="no reference"
        ),
        pytest.param(client("{env: A, file: b}"), 3, "clients[0].token", "exactly one", id="two"),
        pytest.param(client("{env: [A]}"), 3, "clients[0].token.env", "got a list", id="env list"),
        pytest.param(
            client("{command: ls}"), 3, "clients[0].token.command", "a list", id="command"
        ),
        pytest.param(
            client("{command: []}"),
            3,
            "clients[0].token.command",
            "write the program",
            id="no command",
        ),
        pytest.param("clients: [{}]\n", 1, "clients[0].name", "missing key; Name of", id="no name"),
        pytest.param(
            CI + f"  - {{name: c i, token: {{sha256: {'0' * 64}}}}}\n",
            3,
            "clients[1].name",
            "invalid client name 'c i'",
            id="bad name",
        ),
        pytest.param(
            CI + f"  - {{name: ci, token: {{sha256: {'0' * 64}}}}}\n",
            3,
            "clients[1]",
            "duplicate name 'ci', used by clients[0]",
            id="same name",
        ),
        pytest.param(
            CI + f"  - {{name: b, token: {{sha256: {DIGEST.hex()}}}}}\n",
            3,
            "clients[1]",
            "duplicate token, used by clients[0]",
            id="same token",
        ),
        pytest.param(
            CI.replace("name: ci", "name: ci, profile: x"),
            2,
            "clients[0].profile",
            "unknown profile 'x'; use personal or robot",
            id="client's profile",
        ),
        pytest.param(
            CI.replace("name: ci", "name: ci, profile: robot, profiles: [robot]"),
            2,
            "clients[0]",
            "profile and profiles exclude each other",
            id="client's profiles",
        ),
        pytest.param(
            CI.replace("name: ci", "name: ci, access_rules: [GET /v1/me]"),
            2,
            "clients[0].access_rules[0]",
            "never matches; leave out ",
            id="client's rules",
        ),
        pytest.param(
            CI.replace("name: ci", "name: ci, access_rules: []"),
            2,
            "clients[0].access_rules",
            "allows no calls",
            id="client's no rules",
        ),
        pytest.param(
            CI.replace("name: ci", "name: ci, requests_per_minute: 0"),
            2,
            "clients[0].requests_per_minute",
            "1 or more",
            id="no requests",
        ),
        pytest.param(
            "limits: {headrs: 1}\n", 1, "limits.headrs", "mean 'headers'?", id="limit key"
        ),
        pytest.param("limits: {headers: 0}\n", 1, "limits.headers", "1 or more", id="no headers"),
        pytest.param("limits: {headers: '9'}\n", 1, "limits.headers", "in digits", id="quoted"),
        pytest.param("limits: {headers: 1_0}\n", 1, "limits.headers", "in digits", id="underscore"),
        pytest.param("limits: {headers: 010}\n", 1, "limits.headers", "in digits", id="octal"),
        pytest.param(
            "limits: {headers: null}\n", 1, "limits.headers", "in digits", id="null limit"
        ),
        pytest.param("limits: {headers: [1]}\n", 1, "limits.headers", "in digits", id="list limit"),
        pytest.param("limits:\n", 1, "limits", "expected a mapping, got nothing", id="null limits"),
        pytest.param(
            "limits: {body_bytes: 1, memory_body_bytes: 2}\n",
            1,
            "limits.memory_body_bytes",
            "2 is out of range; use at most body_bytes (1)",
            id="contradiction",
        ),
        pytest.param("timeouts: {idle_s: 0}\n", 1, "timeouts.idle_s", "more than 0", id="no time"),
        pytest.param("timeouts: {idle_s: -1}\n", 1, "timeouts.idle_s", "seconds", id="negative"),
        pytest.param("timeouts: {idle_s: 10s}\n", 1, "timeouts.idle_s", "such as 10", id="unit"),
        pytest.param("timeouts: {idle_s: .inf}\n", 1, "timeouts.idle_s", "seconds", id="infinity"),
        pytest.param(
            "timeouts: {idle_s: '1'}\n", 1, "timeouts.idle_s", "seconds", id="quoted time"
        ),
        pytest.param("retries: {attempts: 11}\n", 1, "retries.attempts", "1 to 10", id="attempts"),
        pytest.param(
            "retries: {on_status: [200]}\n", 1, "retries.on_status[0]", "400", id="status"
        ),
        pytest.param("upstream: {proxy: a:1}\n", 1, "upstream.proxy", "http://HOST", id="proxy"),
        pytest.param(
            "upstream: {ca_file: []}\n", 1, "upstream.ca_file", "got a list", id="ca_file"
        ),
        pytest.param("intercept: maybe\n", 1, "intercept", "true or false", id="intercept: maybe"),
        pytest.param(
            f"intercept_others: tunnel\n{CI}",
            1,
            "intercept_others",
            "tunnel needs `intercept: true`",
            id="a tunnel without interception",
        ),
        pytest.param(
            "intercept: true\nintercept_others: tunnel\n",
            2,
            "intercept_others",
            "needs `clients` with tokens",
            id="a tunnel for anybody",
        ),
        pytest.param(
            "intercept_others: x\n",
            1,
            "intercept_others",
            "unknown value 'x'; use refuse or tunnel",
            id="others",
        ),
        pytest.param("workers: 0\n", 1, "workers", "1 to 256", id="no workers"),
        pytest.param(
            "log: {level: inf}\n",
            1,
            "log.level",
            "unknown value 'inf'; did you mean 'info'?",
            id="level",
        ),
        pytest.param(
            "log: {format: xml}\n",
            1,
            "log.format",
            "unknown value 'xml'; use text, json or auto",
            id="format",
        ),
    ],
)
def test_a_problem_has_a_line_a_path_and_a_remedy(problems, text, line, path, message):
    found = problems(text)

    assert (found[0].line, found[0].path) == (line, path)
    assert message in found[0].message
    assert "S3CRET" not in str(found)


def test_problems_of_both_files_are_reported_together(machine):
    store = machine.write("c.yaml", "default: x\nprofiles:\n  a: {endpoint: x, access_token: AT}\n")
    config = machine.write("s.yaml", "listen: [80]\nworkers: x\n")

    found = machine.problems(credentials=store, config=config, workers=0)

    assert [(Path(p.source).name, p.line, p.path) for p in found] == [
        ("c.yaml", 1, "default"),
        ("c.yaml", 3, "profiles.a.endpoint"),
        ("s.yaml", 1, "listen[0]"),
        ("s.yaml", 2, "workers"),
        ("--workers", 0, ""),
    ]


def test_profiles_of_a_store_with_problems_can_be_named(machine):
    store = machine.write("c.yaml", "profiles:\n  a: {endpoint: x, access_token: AT}\n")
    config = machine.write("s.yaml", "listen: [{fd: 3, profile: a}]\n")

    found = machine.problems(credentials=store, config=config)

    assert [p.path for p in found] == ["profiles.a.endpoint"]


def test_profile_names_are_not_checked_if_the_store_cannot_be_read(machine):
    config = machine.write("s.yaml", "listen: [{fd: 3, profile: a}]\n")

    found = machine.problems(credentials="none.yaml", config=config)

    assert [p.path for p in found] == [""]


def test_settings_that_are_not_yaml_are_one_problem(problems):
    found = problems("listen: [\n")

    assert [p.message[:12] for p in found] == ["invalid YAML"]


def test_hosts_are_not_checked_if_a_listener_has_problems(problems):
    found = problems("hosts: [a.b]\nlisten: [80]\n")

    assert [p.path for p in found] == ["listen[0]"]


def test_a_private_key_in_place_of_its_path_is_not_shown(problems):
    text = (
        "listen: [{tcp: '127.0.0.1:1', tls: {cert: a, key: '-----BEGIN PRIVATE KEY-----S3CRET'}}]"
    )
    (problem,) = problems(text)

    assert "got its contents" in problem.message
    assert "S3CRET" not in str(problem)
