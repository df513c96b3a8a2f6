"""The server settings' file and the flags, without the credential store."""

import pytest

from ovh_proxy.config.server_settings import load_listeners
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.settings import DEFAULT_LISTENERS, TcpAddress


def test_listeners_are_loaded_without_running_commands_or_reading_the_store(machine):
    ran = machine.root / "ran"
    config = machine.write(
        "s.yaml",
        f"listen: [0.0.0.0:1, {{unix: /s, clients: [b]}}]\nadmin_listen: 127.0.0.1:2\n"
        f"clients:\n  - {{name: a, token: {{command: [touch, {ran}]}}, profile: x}}\n"
        f"  - {{name: b, token: {{command: [touch, {ran}]}}}}\n",
    )

    listen, admin_listen = load_listeners(machine.sources(config=config, credentials="none"))

    assert [str(listener.address) for listener in listen] == ["0.0.0.0:1", "unix:/s"]
    assert admin_listen == TcpAddress("127.0.0.1", 2)
    assert not ran.exists()


def test_without_settings_the_listeners_are_the_defaults(machine):
    assert load_listeners(machine.sources()) == (DEFAULT_LISTENERS, None)


def test_a_problem_of_a_listener_is_raised(machine):
    with pytest.raises(ConfigurationError, match="has no host"):
        load_listeners(machine.sources(listen=("80",)))
