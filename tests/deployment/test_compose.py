"""The examples in config/compose: an application without keys, and a locked-down proxy."""

from pathlib import Path

import pytest
import yaml
from support.tools import said_by, tool

from ovh_proxy.core.settings import TcpAddress, Timeouts, UnixAddress

EXAMPLES = ("socket", "network")


@pytest.fixture(params=EXAMPLES)
def example(request, config, secrets) -> Path:
    """Each example's folder, with the secrets that its first lines describe."""
    folder = config / "compose" / request.param
    secrets.store(folder / "ovh-proxy" / "credentials.yaml")
    if request.param == "network":
        secrets.token(folder / "ovh-proxy" / "app_token")
    return folder


@pytest.fixture
def services(example):
    """The services of the example."""
    return yaml.safe_load((example / "compose.yaml").read_text())["services"]


def test_compose_accepts_the_examples(example):
    docker = tool("docker")
    if said_by(docker, "compose", "version").returncode:
        pytest.skip("docker has no compose")

    result = said_by(docker, "compose", "--file", example / "compose.yaml", "config", "--quiet")

    assert (result.returncode, result.stdout) == (0, "")


def test_the_application_has_no_keys(services):
    app = services["app"]

    assert "/etc/ovh-proxy" not in str(app.get("volumes", ""))
    assert app["environment"].keys() == {"OVH_PROXY_URL"}


def test_the_proxy_is_locked_down(services):
    proxy = services["ovh-proxy"]

    assert proxy["read_only"] is True
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in proxy


def test_a_stop_waits_for_requests_in_flight(services):
    seconds = int(services["ovh-proxy"]["stop_grace_period"].removesuffix("s"))

    assert seconds > Timeouts().drain_s + Timeouts().drain_delay_s


def test_the_application_waits_until_the_proxy_serves(services):
    assert services["app"]["depends_on"] == {"ovh-proxy": {"condition": "service_healthy"}}


def test_the_settings_load(example, load):
    folder = example / "ovh-proxy"

    settings = load(folder / "credentials.yaml", folder / "ovh-proxy.yaml")

    assert len(settings.listen) == 1
    assert settings.admin_listen == TcpAddress("127.0.0.1", 9090)


def test_the_socket_belongs_to_the_applications_group(config, secrets, load):
    folder = config / "compose" / "socket"
    store = secrets.store(folder / "ovh-proxy" / "credentials.yaml")
    app = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["app"]

    (listener,) = load(store, folder / "ovh-proxy" / "ovh-proxy.yaml").listen

    assert (listener.address, listener.mode) == (UnixAddress("/run/ovh-proxy/api.sock"), 0o660)
    assert app["environment"]["OVH_PROXY_URL"] == "unix:/run/ovh-proxy/api.sock"
    assert app["group_add"] == ["65532"]  # the image's
    assert app["network_mode"] == "none"


def test_other_containers_need_a_token_and_the_name_of_the_service(config, secrets, load):
    folder = config / "compose" / "network"
    store = secrets.store(folder / "ovh-proxy" / "credentials.yaml")
    secrets.token(folder / "ovh-proxy" / "app_token")
    example = yaml.safe_load((folder / "compose.yaml").read_text())

    settings = load(store, folder / "ovh-proxy" / "ovh-proxy.yaml")

    assert [client.name for client in settings.clients] == ["app"]
    assert settings.hosts == {"ovh-proxy"}
    assert example["services"]["app"]["networks"] == ["inside"]
    assert example["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", ["credentials.yaml", "app_token"])
def test_secrets_are_ignored_by_git(name):
    folder = Path(__file__).parents[2] / "config" / "compose"

    assert name in (folder / ".gitignore").read_text().splitlines()
