"""The units in config/systemd are what a user copies: systemd takes them as they are."""

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
    """Copies the units as an installation has them: with a program that is there."""

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
def test_systemd_finds_nothing_wrong(installed, tmp_path, names, mode):
    analyze = tool("systemd-analyze")

    said = said_by(analyze, mode, "verify", *installed(*names), XDG_RUNTIME_DIR=str(tmp_path))

    assert (said.returncode, said.stdout) == (0, "")


def exposure_of(unit: Path) -> float:
    said = said_by(tool("systemd-analyze"), "security", "--offline=yes", unit)
    if "offline" in said.stdout and said.returncode:
        pytest.skip("this systemd-analyze reads no files")
    (score,) = re.findall(r"exposure level for \S+: ([0-9.]+)", said.stdout)
    return float(score)


def test_the_service_exposes_little(installed):
    (unit,) = installed("ovh-proxy.service")

    exposure = exposure_of(unit)

    assert exposure <= MOST_EXPOSED


def test_the_exposure_is_written_down():
    (stated,) = re.findall(
        r"systemd-analyze security.*?(\d\.\d)", (ROOT / "docs" / "deployment.md").read_text()
    )

    assert MOST_EXPOSED - 1 < float(stated) <= MOST_EXPOSED


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_waits_for_requests_in_flight(name):
    (seconds,) = settings_of(name)["TimeoutStopSec"]

    assert int(seconds) > Timeouts().drain_s + Timeouts().drain_delay_s


@pytest.mark.parametrize("name", SERVICES)
def test_a_mistake_in_the_settings_is_not_tried_again(name):
    settings = settings_of(name)

    assert (settings["Restart"], settings["RestartPreventExitStatus"]) == (["on-failure"], ["2"])


def test_the_user_of_the_service_is_the_one_that_sysusers_makes():
    made = re.search(r"^u (\S+) ", (UNITS / "ovh-proxy.sysusers.conf").read_text(), re.MULTILINE)
    settings = settings_of("ovh-proxy.service")

    assert made is not None
    assert settings["User"] == settings["Group"] == [made[1]]


def test_the_sockets_are_for_this_machine_alone():
    streams = settings_of("ovh-proxy.socket")["ListenStream"]

    assert all(stream.startswith(("127.0.0.1:", "/run/")) for stream in streams)
