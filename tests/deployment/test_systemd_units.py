"""systemd accepts the units in config/systemd unchanged."""

import re
from pathlib import Path

import pytest
from support.tools import said_by, tool

from ovh_proxy.core.settings import Timeouts

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "config" / "systemd"
SERVICES = ("ovh-proxy.service", "user/ovh-proxy.service")
# The next whole number above what docs/deployment.md states.
MOST_EXPOSED = 2.0


def settings_of(name: str) -> dict[str, list[str]]:
    """Every key of a unit, with all its values in order."""
    settings: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


@pytest.fixture
def installed(tmp_path):
    """Copies the units, with a program that exists."""

    def copy(*names: str) -> list[Path]:
        paths = [tmp_path / name for name in names]
        for name, path in zip(names, paths, strict=True):
            path.parent.mkdir(exist_ok=True)
            text = (UNITS / name).read_text()
            path.write_text(
                re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
            )
        return paths

    return copy


@pytest.mark.parametrize(
    ("names", "mode"),
    [
        (("ovh-proxy.service",), "--system"),
        (("ovh-proxy.service", "ovh-proxy.socket"), "--system"),
        (("user/ovh-proxy.service",), "--user"),
    ],
    ids=["service", "socket", "user"],
)
def test_systemd_reports_no_problem(installed, tmp_path, names, mode):
    analyze = tool("systemd-analyze")

    result = said_by(analyze, mode, "verify", *installed(*names), XDG_RUNTIME_DIR=str(tmp_path))

    assert (result.returncode, result.stdout) == (0, "")


def exposure_of(unit: Path) -> float:
    result = said_by(tool("systemd-analyze"), "security", "--offline=yes", unit)
    if "offline" in result.stdout and result.returncode:
        pytest.skip("this systemd-analyze reads no files")
    (score,) = re.findall(r"exposure level for \S+: ([0-9.]+)", result.stdout)
    return float(score)


def test_the_service_has_a_low_exposure_score(installed):
    (unit,) = installed("ovh-proxy.service")

    exposure = exposure_of(unit)

    assert exposure <= MOST_EXPOSED


def test_the_exposure_score_is_documented():
    (stated,) = re.findall(
        r"systemd-analyze security.*?(\d\.\d)", (ROOT / "docs" / "deployment.md").read_text()
    )

    assert MOST_EXPOSED - 1 < float(stated) <= MOST_EXPOSED


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_waits_for_requests_in_flight(name):
    (seconds,) = settings_of(name)["TimeoutStopSec"]

    assert int(seconds) > Timeouts().drain_s + Timeouts().drain_delay_s


@pytest.mark.parametrize("name", SERVICES)
def test_a_configuration_error_does_not_restart_the_service(name):
    settings = settings_of(name)

    assert (settings["Restart"], settings["RestartPreventExitStatus"]) == (["on-failure"], ["2"])


def test_the_service_user_is_created_by_sysusers():
    made = re.search(r"^u (\S+) ", (UNITS / "ovh-proxy.sysusers.conf").read_text(), re.MULTILINE)
    settings = settings_of("ovh-proxy.service")

    assert made is not None
    assert settings["User"] == settings["Group"] == [made[1]]


def test_the_sockets_listen_only_locally():
    streams = settings_of("ovh-proxy.socket")["ListenStream"]

    assert all(stream.startswith(("127.0.0.1:", "/run/")) for stream in streams)
