"""Reloaded settings replace the current ones, or are rejected."""

import asyncio
import hashlib
import io
import json
import os
import signal
import socket
from dataclasses import replace
from types import MappingProxyType

import pytest
import pytest_asyncio

from ovh_proxy.config.loader import LoadResult
from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    Client,
    Limits,
    Listener,
    LogSettings,
    Profile,
    Settings,
    Store,
    TcpAddress,
    Timeouts,
    TracingSettings,
    Upstream,
)
from ovh_proxy.listeners.listener import OpenListener
from ovh_proxy.logs import Log as Writer
from ovh_proxy.server.app import build
from ovh_proxy.server.reload import Reload, ReloadTrigger
from ovh_proxy.server.serve import ShutdownRequest, handle_signals, serve
from ovh_proxy.server.systemd import SystemdNotifier

pytestmark = pytest.mark.asyncio

PROBLEM = Problem(
    "c.yaml", 3, "profiles.a.endpoint", "unknown endpoint 'ovheu'; did you mean 'ovh-eu'?"
)
CI = Client("ci", hashlib.sha256(b"ci").digest())


def service_account(number):
    return ServiceAccount(f"EU.{number}", Secret(f"secret{number}"), "https://localhost/token")


def store_of(*numbers):
    profiles = {
        f"p{number}": Profile(
            f"p{number}",
            parse_endpoint(f"https://api{number}.example/1.0"),
            service_account(number),
        )
        for number in numbers
    }
    return Store(MappingProxyType(profiles), None, "c.yaml")


BEFORE = Settings(store=store_of(1, 2))


def good(**changes):
    return LoadResult(replace(BEFORE, **changes), (), {})


@pytest.fixture
def log():
    """The log, as JSON lines."""
    return io.StringIO()


@pytest_asyncio.fixture
async def app(log):
    """An app with two profiles."""
    app = build(BEFORE, Writer("info", "json", log))
    yield app
    await app.close()


@pytest.fixture
def reload(app):
    """A reload with a listener on loopback."""
    return Reload(app, BEFORE, [opened(is_exposed=False)])


def opened(is_exposed):
    return OpenListener("http://127.0.0.1:1", (), is_exposed, None, None, None)


def messages(log):
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize(
    "changes",
    [
        {"store": store_of(3)},
        {"hosts": frozenset({"a.b"}), "clients": (CI,)},
        {"origins": frozenset({"https://a.b"})},
        {"clients": (CI,)},
        {"limits": Limits(body_bytes=1, in_flight=1, requests_per_minute=1)},
        {"timeouts": Timeouts(body_s=1, drain_s=1, drain_delay_s=1)},
        {"log": LogSettings(level="error")},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_settings_that_each_request_reads_take_effect(app, reload, log, changes):
    reload.apply(good(**changes))

    assert app.live.current == replace(BEFORE, **changes)
    assert "restart" not in log.getvalue()


async def test_the_log_level_takes_effect(app, reload):
    reload.apply(good(log=LogSettings(level="debug")))

    assert app.log.writes("debug")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"listen": (Listener(TcpAddress("127.0.0.1", 81)),)}, ["listen"]),
        ({"admin_listen": TcpAddress("127.0.0.1", 81)}, ["admin_listen"]),
        ({"workers": 2}, ["workers"]),
        ({"intercept": True}, ["intercept"]),
        ({"upstream": Upstream(connections=1)}, ["upstream"]),
        ({"limits": Limits(headers=1, connections=1)}, ["limits.connections", "limits.headers"]),
        ({"timeouts": Timeouts(connect_s=1)}, ["timeouts.connect_s"]),
        ({"log": LogSettings(format="json", audit="/a")}, ["log.audit", "log.format"]),
        ({"tracing": TracingSettings(enabled=True)}, ["tracing.enabled"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_settings_that_need_a_restart_are_logged_once_and_not_applied(
    app, reload, log, changes, named
):
    reload.apply(good(**changes))
    reload.apply(good(**changes))

    assert [line["setting"] for line in messages(log)] == named
    assert app.live.current == BEFORE


async def test_an_inherited_socket_is_not_a_changed_listener(app, log):
    handed = replace(BEFORE, listen=(Listener(TcpAddress("127.0.0.1", 82)),))
    app.live.replace(handed)

    Reload(app, BEFORE, [opened(is_exposed=False)]).apply(good(workers=1))

    assert app.live.current == handed
    assert messages(log) == []


async def test_a_problem_is_logged_and_nothing_changes(app, reload, log):
    reload.apply(LoadResult(None, (PROBLEM,), {}))

    (line,) = messages(log)
    assert app.live.current is BEFORE
    assert app.server_state.problems == (str(PROBLEM),)
    assert (line["source"], line["line"], line["path"]) == ("c.yaml", 3, "profiles.a.endpoint")
    assert "did you mean 'ovh-eu'?" in line["message"]


async def test_a_problem_that_returns_is_logged_again(app, reload, log):
    for loaded in (LoadResult(None, (PROBLEM,), {}), good(), LoadResult(None, (PROBLEM,), {})):
        reload.apply(loaded)

    assert [line["level"] for line in messages(log)] == ["error", "info", "error"]


@pytest.mark.parametrize("allow_open", [False, True])
async def test_a_reload_cannot_remove_the_clients_of_an_exposed_listener(app, allow_open):
    guarded = replace(BEFORE, clients=(CI,), allow_open=allow_open)
    app.live.replace(guarded)
    reload = Reload(app, guarded, [opened(is_exposed=True)])

    reload.apply(good(allow_open=allow_open))

    assert bool(app.live.current.clients) is not allow_open
    assert ["clients" in problem for problem in app.server_state.problems] == [True] * (
        not allow_open
    )


async def test_a_reload_cannot_add_hosts_to_a_plain_listener_without_clients(app, reload):
    reload.apply(good(hosts=frozenset({"a.b"})))

    assert app.live.current.hosts == frozenset()
    assert "hosts: needs `clients`" in app.server_state.problems[0]


async def test_remaining_profiles_keep_clock_and_token_and_removed_ones_lose_them(app, reload):
    endpoints = [profile.endpoint for profile in BEFORE.store.profiles.values()]
    clocks = [app.client.clocks.of(endpoint) for endpoint in endpoints]
    tokens = [app.client.tokens.of(service_account(number)) for number in (1, 2)]

    reload.apply(good(store=store_of(2)))

    after = [app.client.clocks.of(endpoint) for endpoint in endpoints]
    assert [new is old for new, old in zip(after, clocks, strict=True)] == [False, True]
    assert app.client.tokens.of(service_account(1)) is not tokens[0]
    assert app.client.tokens.of(service_account(2)) is tokens[1]


class Files:
    """A fake `SettingsWatcher` that counts reads."""

    def __init__(self, settings):
        self.settings = settings
        self.failures = []
        self.changed = False
        self.reads = 0
        self.when_read = lambda: None

    def has_changed(self):
        return self.changed

    def reload(self):
        self.reads += 1
        if self.failures:
            failure = self.failures.pop()
            if failure is not None:
                raise failure
            return None
        self.when_read()
        return LoadResult(self.settings, (), {})


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
async def test_sighup_reloads_and_notifies_systemd(tmp_path, kept_loggers):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    notifier = SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    settings = Settings(
        store=Store(MappingProxyType({}), None, "nowhere"),
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
    )
    files, stop, log = Files(settings), ShutdownRequest(), io.StringIO()
    reload_trigger = ReloadTrigger(files, settings, poll_s=60)
    handle_signals(stop, reload_trigger)
    serving = asyncio.ensure_future(
        serve(settings, Writer("info", "json", log), print, stop, None, notifier, reload_trigger)
    )
    loop = asyncio.get_running_loop()

    async with asyncio.timeout(5):
        states = [await loop.sock_recv(manager, 1000)]
        os.kill(os.getpid(), signal.SIGHUP)
        states += [await loop.sock_recv(manager, 1000) for _ in range(2)]
        stop()
        await serving

    manager.close()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
    assert [state.partition(b"\n")[0] for state in states] == [
        b"READY=1",
        b"RELOADING=1",
        b"READY=1",
    ]
    assert files.reads == 1


async def test_an_unexpected_error_during_a_reload_is_logged_and_retried(kept_loggers):
    settings = Settings(
        store=Store(MappingProxyType({}), None, "nowhere"),
        listen=(Listener(TcpAddress("127.0.0.1", 0)),),
    )
    files, stop, log = Files(settings), ShutdownRequest(), io.StringIO()
    files.failures = [None, RuntimeError("S3CRET")]
    loop = asyncio.get_running_loop()
    files.when_read = lambda: loop.call_soon_threadsafe(stop)
    reload_trigger = ReloadTrigger(files, settings, poll_s=0.001)
    reload_trigger()

    async with asyncio.timeout(5):
        await serve(
            settings, Writer("info", "json", log), print, stop, reload_trigger=reload_trigger
        )

    assert files.reads == 3
    assert "RuntimeError" in log.getvalue()
    assert "S3CRET" not in log.getvalue()
