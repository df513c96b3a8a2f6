import os
from pathlib import Path

import pytest

from ovh_proxy.cli.client_trust import write_settings

BUNDLE = Path("/trust/bundle.pem")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "trust").mkdir()
    return tmp_path / "trust"


def test_wget_and_php_trust_the_bundle(directory: Path, home: Path) -> None:
    assigned = write_settings(directory, BUNDLE, {"HOME": str(home)})

    assert f"ca_certificate = {BUNDLE}\n" in Path(assigned["WGETRC"]).read_text()
    php = (directory / "php.ini").read_text()
    assert php == f"curl.cainfo='{BUNDLE}'\nopenssl.cafile='{BUNDLE}'\n"


@pytest.mark.parametrize("is_named", [True, False], ids=["variable", "home"])
def test_a_wgetrc_of_the_user_is_not_replaced(directory: Path, home: Path, is_named: bool) -> None:
    own = home / ("wget.conf" if is_named else ".wgetrc")
    own.write_text("tries = 2\n")
    named = {"WGETRC": str(own)} if is_named else {}

    assigned = write_settings(directory, BUNDLE, {"HOME": str(home), **named})

    assert "WGETRC" not in assigned


def test_our_own_wgetrc_is_replaced(tmp_path: Path, directory: Path, home: Path) -> None:
    (tmp_path / "before").mkdir()
    before = write_settings(tmp_path / "before", BUNDLE, {"HOME": str(home)})

    assigned = write_settings(directory, BUNDLE, {"HOME": str(home), **before})

    assert assigned["WGETRC"] == str(directory / "wgetrc")


@pytest.mark.parametrize(
    ("before", "kept"),
    [(None, [""]), ("", []), ("/etc/mine", ["/etc/mine"]), (":/etc/mine", ["", "/etc/mine"])],
)
def test_php_still_scans_the_same_directories(
    directory: Path, home: Path, before: str | None, kept: list[str]
) -> None:
    environ = {"HOME": str(home)}
    if before is not None:
        environ["PHP_INI_SCAN_DIR"] = before.replace(":", os.pathsep)

    assigned = write_settings(directory, BUNDLE, environ)
    again = write_settings(directory, BUNDLE, environ | assigned)

    assert assigned["PHP_INI_SCAN_DIR"].split(os.pathsep) == [*kept, str(directory)]
    assert again == assigned
