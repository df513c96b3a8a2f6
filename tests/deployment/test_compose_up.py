"""The examples in config/compose, running: an application without keys gets a response."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engine import PYTHON, Engine

pytestmark = pytest.mark.container

UP_S = 120.0
# Replaces the application: calls the URL that it was given, without any library.
APPS = {
    "socket": """
import os, socket
print("networks:", [name for _, name in socket.if_nameindex() if name == "eth0"])
asked = socket.socket(socket.AF_UNIX)
asked.connect(os.environ["OVH_PROXY_URL"].removeprefix("unix:"))
asked.sendall(b"GET /me HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
print(b"".join(iter(lambda: asked.recv(65536), b"")).decode())
""",
    "network": """
import os, socket, urllib.error, urllib.request
url = os.environ["OVH_PROXY_URL"] + "/me"
try:
    urllib.request.urlopen(url)
except urllib.error.HTTPError as error:
    print("without a token:", error.code)
try:
    socket.create_connection(("192.0.2.1", 443), 2)
except OSError:
    print("no way out")
token = open("/run/secrets/app_token").read().strip()
asked = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
print(urllib.request.urlopen(asked).read().decode())
""",
}


@pytest.fixture
def networked(engine) -> Engine:
    """The container engine, if it has compose and can create networks."""
    if engine.ask("compose", "version").returncode:
        pytest.skip("there is no compose")
    if engine.ask("network", "create", engine.name("network")).returncode:
        pytest.skip("the engine makes no networks")
    return engine


def is_seen(engine: Engine, image: str, folder: Path) -> bool:
    """Whether the engine can mount this folder; a remote engine cannot."""
    flags = ("--rm", "--network", "none", "--volume", f"{folder}:/seen:ro", "--entrypoint", "ls")
    return "compose.yaml" in engine.ask("run", *flags, image, "/seen").stdout


def instead_of_mounts(engine: Engine, image: str, folder: Path) -> str:
    """More for compose: the same files in a volume, and APP_TOKEN instead of a file."""
    files = {path.name: path.read_text() for path in folder.iterdir()}
    volume = {"type": "volume", "source": "etc", "target": "/etc/ovh-proxy", "read_only": True}
    more = {
        "services": {"ovh-proxy": {"volumes": [volume]}},
        "volumes": {"etc": {"external": True, "name": engine.volume(image, files)}},
    }
    return yaml.safe_dump(more) + "secrets: {app_token: !override {environment: APP_TOKEN}}\n"


@pytest.fixture(params=list(APPS))
def up(request, networked, image, config, secrets, tmp_path, monkeypatch) -> Any:
    """Starts an example together with a sandbox; yields the output of its application."""
    engine, folder = networked, config / "compose" / request.param
    secrets.store(folder / "ovh-proxy" / "credentials.yaml").chmod(0o444)
    secrets.token(folder / "ovh-proxy" / "app_token").chmod(0o444)
    more = tmp_path / "sandbox.yaml"
    app = {
        "image": image,
        "user": "1000:1000",
        "depends_on": {"sandbox": {"condition": "service_started"}},
        "entrypoint": [PYTHON, "-c"],
        "command": [APPS[request.param].replace("$", "$$")],
    }
    sandbox = {
        "image": image,
        "network_mode": "service:ovh-proxy",
        "command": ["sandbox", "--listen", "127.0.0.1:8180"],
    }
    services = {"ovh-proxy": {"image": image}, "sandbox": sandbox, "app": app}
    more.write_text(yaml.safe_dump({"services": services}))
    files = [folder / "compose.yaml", more]
    if not is_seen(engine, image, folder):
        files.append(tmp_path / "mounts.yaml")
        files[-1].write_text(instead_of_mounts(engine, image, folder / "ovh-proxy"))
        monkeypatch.setenv("APP_TOKEN", (folder / "ovh-proxy" / "app_token").read_text())
    compose = ("compose", *(part for file in files for part in ("--file", file)))
    project = (*compose, "--project-name", engine.name("volume"))
    try:
        engine.say(*project, "up", "--no-build", "--exit-code-from", "app", limit_s=UP_S)
        yield request.param, engine.say(*project, "logs", "--no-log-prefix", "app")
    finally:
        engine.ask(*project, "down", "--volumes", "--timeout", "5", limit_s=UP_S)
        shutil.rmtree(folder)


def test_the_application_reaches_only_the_proxy(up):
    example, result = up

    assert '"nichandle"' in result
    if example == "socket":
        assert "networks: []" in result
    else:
        assert "without a token: 401" in result
        assert "no way out" in result
