"""What the README says is what the program does."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ovh_proxy.cli.main import COMMANDS
from ovh_proxy.core import errors
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.settings import (
    Client,
    Limits,
    LogSettings,
    Retries,
    Settings,
    Timeouts,
    TracingSettings,
    Upstream,
)
from ovh_proxy.observability.metrics import METRIC_FAMILIES, Metrics
from ovh_proxy.proxy.admin_routes import AdminRoutes, ServerState

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()

GROUPS = {
    "limits": Limits,
    "timeouts": Timeouts,
    "retries": Retries,
    "upstream": Upstream,
    "log": LogSettings,
    "tracing": TracingSettings,
}
# Not settings: where they came from, what a flag alone says, and the other file.
NOT_SETTINGS = {"store", "source", "allow_open", "state_directory", *GROUPS}


def _classes(root: type) -> list[type]:
    return [root, *(found for child in root.__subclasses__() for found in _classes(child))]


@pytest.mark.parametrize(
    "code",
    sorted(
        {
            found.code
            for found in _classes(errors.RequestRefused)
            + _classes(errors.UpstreamFailed)
            + _classes(errors.NotNow)
            + [errors.InternalError]
            if "code" in vars(found)
        }
    ),
)
def test_every_error_code_has_a_line(code: str) -> None:
    assert re.search(rf"^\| \d+ \| `{code}` \| \S", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "setting",
    [
        *(field.name for field in dataclasses.fields(Settings) if field.name not in NOT_SETTINGS),
        *(
            f"{group}.{field.name}"
            for group, kind in GROUPS.items()
            for field in dataclasses.fields(kind)
        ),
    ],
)
def test_every_setting_has_a_line(setting: str) -> None:
    assert re.search(rf"^\| [^|]*`{re.escape(setting)}`", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        (f"{group}.{field.name}", field.default)
        for group, kind in GROUPS.items()
        for field in dataclasses.fields(kind)
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    ],
)
def test_every_number_in_it_is_the_default(setting: str, default: float) -> None:
    assert f"| `{setting}` | {default:g} |" in TEXT or f"| `{setting}` | {default} |" in TEXT


@pytest.mark.parametrize(
    "field", ["name", "token", *(f.name for f in dataclasses.fields(Client)[2:])]
)
def test_every_field_of_a_client_is_named(field: str) -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith("| `clients`"))

    assert f"`{field}`" in line


def test_every_metric_has_a_line() -> None:
    names = {family.name for family in METRIC_FAMILIES}

    assert names == set(re.findall(r"^\| `(ovh_proxy_\w+)`", TEXT, re.MULTILINE))


def test_every_own_route_has_a_line() -> None:
    ops = AdminRoutes(Metrics(), None, ServerState())  # type: ignore[arg-type] # no clock is asked here

    assert {f"/-/{name}" for name in ops.names} == set(
        re.findall(r"^\| `(/-/\w*)` \|", TEXT, re.MULTILINE)
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_named(endpoint: str) -> None:
    assert f"`{endpoint}`" in TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert re.search(rf"ovh-proxy {command}\b|^  {command} ", TEXT, re.MULTILINE)


@pytest.mark.parametrize("block", re.findall(r"```console help\n\$ (.*?)```", TEXT, re.DOTALL))
def test_help_is_what_the_parser_says(block: str) -> None:
    command, _, shown = block.partition("\n")

    said = subprocess.run(
        [sys.executable, "-m", *command.replace("ovh-proxy", "ovh_proxy", 1).split()],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )

    assert said.stdout.strip() == shown.strip()


def test_the_first_screen_has_both_commands() -> None:
    first_screen = TEXT.splitlines()[:24]

    assert any(line.endswith("ovh-proxy demo") for line in first_screen)
    tests = next(line for line in TEXT.splitlines() if "pytest" in line or "make test" in line)
    assert tests in first_screen
