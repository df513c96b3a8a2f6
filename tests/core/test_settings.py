import dataclasses

import pytest

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    Client,
    InheritedAddress,
    Limits,
    Listener,
    LogSettings,
    Profile,
    Retries,
    Settings,
    Store,
    TcpAddress,
    Timeouts,
    TracingSettings,
    UnixAddress,
    Upstream,
)


def profile(name):
    return Profile(name, ENDPOINTS["ovh-eu"], AccessToken(Secret("t0ken")))


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (TcpAddress("127.0.0.1", 8080), "127.0.0.1:8080"),
        (TcpAddress("localhost", 0), "localhost:0"),
        (TcpAddress("::1", 8080), "[::1]:8080"),
        (UnixAddress("/run/api.sock"), "unix:/run/api.sock"),
        (UnixAddress("@name"), "unix:@name"),
        (InheritedAddress(3), "fd:3"),
    ],
    ids=str,
)
def test_str_of_an_address_is_the_syntax_of_listen(address, text):
    assert str(address) == text


@pytest.mark.parametrize(
    ("names", "default", "chosen"),
    [
        pytest.param(["a", "b"], "b", "b", id="the default"),
        pytest.param(["a"], None, "a", id="the only one"),
        pytest.param(["a", "b"], None, None, id="several and none named"),
        pytest.param([], None, None, id="none at all"),
    ],
)
def test_a_request_without_a_profile_name_gets_the_default_or_the_only_one(names, default, chosen):
    store = Store({name: profile(name) for name in names}, default, "store.yaml")

    found = store.default_profile

    assert (found and found.name) == chosen


def test_without_a_file_the_proxy_serves_this_machine_only():
    settings = Settings()

    assert [str(listener.address) for listener in settings.listen] == ["127.0.0.1:8080"]
    assert settings.admin_listen is None
    assert (settings.hosts, settings.origins, settings.clients) == (frozenset(), frozenset(), ())
    assert settings.store.profiles == {}


def test_the_defaults_are_the_documented_ones():
    settings = Settings()

    assert settings.limits == Limits(
        body_bytes=33554432,
        memory_body_bytes=1048576,
        memory_bodies_bytes=134217728,
        line_bytes=16384,
        header_bytes=65536,
        headers=128,
        in_flight=512,
        connections=1024,
        requests_per_minute=None,
    )
    assert settings.timeouts == Timeouts(
        connect_s=10, answer_s=300, idle_s=120, header_s=15, body_s=60, drain_s=30, drain_delay_s=0
    )
    assert settings.retries == Retries(attempts=3, on_status=frozenset())
    assert settings.upstream == Upstream(ca_file=None, proxy=None, connections=64, keep_alive_s=60)
    assert settings.workers == 1
    assert settings.log == LogSettings(format="auto", level="info", audit=None)
    assert settings.tracing == TracingSettings(enabled=False, propagate=False)


def test_nothing_is_wide_open_by_default():
    settings = Settings()

    assert settings.allow_open is False
    assert Listener(UnixAddress("/run/api.sock")).mode == 0o600
    assert (settings.store.source, settings.store.is_fallback) == ("nowhere", False)


def test_the_repr_of_a_client_shows_no_digest():
    client = Client("ci", b"d1gest" * 6)

    assert "d1gest" not in repr(client)


def test_settings_are_immutable():
    settings = Settings()

    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.workers = 2


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("localhost", "localhost"),
    ],
)
def test_a_listener_on_all_addresses_is_reached_over_loopback(host, expected):
    assert TcpAddress(host, 8080).connect_host == expected
