"""The image: its contents and metadata."""

import re

import pytest
from support.engine import BUILD_S, PROGRAM, PYTHON, ROOT, until

from ovh_proxy import __version__

pytestmark = pytest.mark.container

# In bytes; docs/deployment.md states the size.
MOST_ABOVE_BASE = 90_000_000


def test_the_image_is_small(engine, image):
    base = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]

    above = engine.inspect(image)["Size"] - engine.inspect(base)["Size"]

    stated = re.findall(r"adds (\d+) MB", (ROOT / "docs" / "deployment.md").read_text())
    assert above < MOST_ABOVE_BASE
    # 4 MB less where the base has the bytecode of the standard library itself.
    assert round(above / 1e6) in range(int(stated[0]) - 6, int(stated[0]) + 4)


def test_the_image_has_labels(engine, image):
    config = engine.inspect(image)["Config"]

    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert labels["title"] == "ovh-proxy"
    assert labels["licenses"] == "BSD-3-Clause"
    assert labels.keys() >= {"description", "version", "revision"}
    assert "unknown" not in labels.values()
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", PROGRAM, "healthcheck"]


def test_the_image_runs_the_program_and_installs_nothing(engine, image):
    version = engine.say("run", "--rm", "--network", "none", image, "--version")
    pip = engine.ask("run", "--rm", "--network", "none", "--entrypoint", PYTHON, image, "-m", "pip")

    assert version == f"ovh-proxy, version {__version__}"
    assert "No module named pip" in pip.stderr


def test_nothing_is_compiled_at_startup(engine, image):
    code = (
        "import os, sys, ovh_proxy.cli.run, ovh_proxy.server.serve, ovh_proxy.cli.healthcheck\n"
        "print([one.__name__ for one in [*sys.modules.values()] if getattr(one, '__cached__', None)"
        " and not os.path.exists(one.__cached__)])"
    )

    without_bytecode = engine.say(
        "run", "--rm", "--network", "none", "--entrypoint", PYTHON, image, "-c", code
    )

    assert without_bytecode == "[]"


def test_without_a_token_it_does_not_listen_to_other_containers(engine, image, store):
    flags = ("--network", "none", "--rm", "--volume", f"{store}:/etc/ovh-proxy:ro")

    result = engine.ask("run", *flags, "--env", "OVH_PROXY_LISTEN=0.0.0.0:8080", image)

    assert result.returncode == 2
    assert "set up `clients`" in result.stderr


def test_an_image_with_tracing_can_be_built_on_it(engine, image, tmp_path):
    page = (ROOT / "docs" / "deployment.md").read_text()
    (text,) = re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)
    (tmp_path / "Dockerfile").write_text(re.sub(r"(FROM |from=)ovh-proxy\b", rf"\1{image}", text))
    files = {
        "credentials.yaml": "profiles: {a: {endpoint: ovh-eu, access_token: MadeUpToken}}",
        "ovh-proxy.yaml": "tracing: {enabled: true}",
    }
    traced, mounted = engine.name("image"), f"{engine.volume(image, files)}:/etc/ovh-proxy:ro"
    engine.say("build", "--network", "host", "--tag", traced, tmp_path, limit_s=BUILD_S)

    name = engine.start(traced, "--network", "none", "--volume", mounted)

    assert until(lambda: "listening on" in engine.say("logs", name))
