"""Commands import only what they use, because every import delays their start."""

from pathlib import Path

import pytest
from support.command import running, write_store
from support.ended import Ask

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

# Python reports every import in one line on stderr.
REPORT = {"PYTHONPROFILEIMPORTTIME": "1"}

# Libraries that only some commands or features need.
EXTRAS = (
    "rich",
    "ruamel",
    "keyring",
    "prometheus_client",
    "aiolimiter",
    "cryptography",
    "opentelemetry",
)
TESTS_OWN = ("jsonschema", "ovh", "requests")
SERVER = (
    "aiohttp",
    "uvloop",
    "ovh_proxy.http1",
    "ovh_proxy.intercept",
    "ovh_proxy.limits",
    "ovh_proxy.listeners",
    "ovh_proxy.logs",
    "ovh_proxy.observability",
    "ovh_proxy.proxy",
    "ovh_proxy.sandbox",
    "ovh_proxy.server",
    "ovh_proxy.tls",
    "ovh_proxy.workers",
)
NETWORK = ("asyncio", "ssl", "httptools", "ovh_proxy.upstream", "ovh_proxy.auth")
STORE = ("yaml", "ovh_proxy.config", "ovh_proxy.credential_store")
RESOLVING = (
    "ovh_proxy.config.loader",
    "ovh_proxy.config.secret_command",
    "concurrent.futures",
)
YAML = ("yaml", "ovh_proxy.config.yaml_reader")
UNREACHABLE = "http://127.0.0.1:1"
STORE_TEXT = f"""\
profiles:
  a:
    endpoint: {UNREACHABLE}/1.0
    application_key: 7kbG7Bk7S9Nt7ZSV
    application_secret: EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF
    consumer_key: MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1
"""


def loaded(report: str) -> frozenset[str]:
    """The modules in a report, and their packages."""
    lines = [line for line in report.splitlines() if line.startswith("import time:")]
    names = [line.rpartition("|")[2].strip() for line in lines]
    assert "ovh_proxy.cli.main" in names, report
    return frozenset(
        ".".join(steps[:end])
        for steps in (name.split(".") for name in names)
        for end in range(1, len(steps) + 1)
    )


@pytest.mark.parametrize(
    ("line", "code", "left_out"),
    [
        pytest.param("--version", 0, STORE + NETWORK + SERVER, id="version"),
        pytest.param("--help", 0, STORE + NETWORK + SERVER, id="help"),
        pytest.param("run --help", 0, SERVER, id="help of run"),
        pytest.param("demo --help", 0, SERVER, id="help of demo"),
        pytest.param("ca --help", 0, SERVER, id="help of ca"),
        pytest.param("exec --help", 0, SERVER, id="help of exec"),
        pytest.param("sandbox --help", 0, SERVER, id="help of sandbox"),
        pytest.param("token", 0, STORE + NETWORK + SERVER, id="token"),
        pytest.param("completion bash", 0, STORE + NETWORK + SERVER, id="completion"),
        pytest.param(
            f"healthcheck --url {UNREACHABLE}",
            1,
            STORE + NETWORK + SERVER,
            id="healthcheck of a URL",
        ),
        pytest.param(
            "healthcheck --listen 127.0.0.1:1",
            1,
            (*YAML, *RESOLVING, *NETWORK, *SERVER),
            id="healthcheck by flags",
        ),
        pytest.param(
            "healthcheck --config settings.yaml",
            1,
            RESOLVING + NETWORK + SERVER,
            id="healthcheck by settings",
        ),
        pytest.param(
            "wait --for 0.1s --listen 127.0.0.1:1",
            1,
            (*YAML, *RESOLVING, *NETWORK, *SERVER),
            id="wait",
        ),
        pytest.param(
            f"env --url {UNREACHABLE}",
            1,
            (*YAML, *RESOLVING, *NETWORK, *SERVER),
            id="env",
        ),
        pytest.param(
            "sign GET /me --credentials store.yaml --timestamp 1700000000",
            0,
            NETWORK + SERVER,
            id="sign",
        ),
        pytest.param(
            "check --credentials store.yaml --offline", 0, NETWORK + SERVER, id="check of files"
        ),
        pytest.param("check --credentials store.yaml", 1, SERVER, id="check"),
    ],
)
async def test_a_command_imports_only_what_it_uses(
    start: Ask, home: Path, line: str, code: int, left_out: tuple[str, ...]
) -> None:
    (home / "settings.yaml").write_text("listen: [127.0.0.1:1]\n")
    (home / "store.yaml").write_text(STORE_TEXT)
    (home / "store.yaml").chmod(0o600)

    ended = await start(*line.split(), **REPORT)

    assert ended.code == code, ended.err
    assert loaded(ended.err) & {*EXTRAS, *TESTS_OWN, *left_out} == set()


async def test_run_imports_neither_extras_nor_an_application_framework(
    sandbox: Sandbox, home: Path
) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", "--credentials", store, "--listen", "127.0.0.1:0", env=REPORT):
        report = (home / "log").read_text()

    names = loaded(report)
    assert "ovh_proxy.server.serve" in names
    others = {"aiohttp.web_app", "ovh_proxy.sandbox", "ovh_proxy.recording"}
    assert names & {*EXTRAS, *TESTS_OWN, *others} == set()
