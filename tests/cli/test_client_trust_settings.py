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


def test_wget_and_php_are_told_what_to_trust(directory: Path, home: Path) -> None:
    told = write_settings(directory, BUNDLE, {"HOME": str(home)})

    assert f"ca_certificate = {BUNDLE}\n" in Path(told["WGETRC"]).read_text()
    php = (directory / "php.ini").read_text()
    assert php == f"curl.cainfo='{BUNDLE}'\nopenssl.cafile='{BUNDLE}'\n"


@pytest.mark.parametrize("is_named", [True, False], ids=["by the variable", "at home"])
def test_a_wgetrc_of_the_user_s_goes_on_to_be_read(
    directory: Path, home: Path, is_named: bool
) -> None:
    own = home / ("wget.conf" if is_named else ".wgetrc")
    own.write_text("tries = 2\n")
    named = {"WGETRC": str(own)} if is_named else {}

    told = write_settings(directory, BUNDLE, {"HOME": str(home), **named})

    assert "WGETRC" not in told


def test_a_wgetrc_of_ours_makes_place(tmp_path: Path, directory: Path, home: Path) -> None:
    (tmp_path / "before").mkdir()
    before = write_settings(tmp_path / "before", BUNDLE, {"HOME": str(home)})

    told = write_settings(directory, BUNDLE, {"HOME": str(home), **before})

    assert told["WGETRC"] == str(directory / "wgetrc")


@pytest.mark.parametrize(
    ("before", "kept"),
    [(None, [""]), ("", []), ("/etc/mine", ["/etc/mine"]), (":/etc/mine", ["", "/etc/mine"])],
)
def test_php_looks_where_it_looked_before(
    directory: Path, home: Path, before: str | None, kept: list[str]
) -> None:
    environ = {"HOME": str(home)}
    if before is not None:
        environ["PHP_INI_SCAN_DIR"] = before.replace(":", os.pathsep)

    told = write_settings(directory, BUNDLE, environ)
    again = write_settings(directory, BUNDLE, environ | told)

    assert told["PHP_INI_SCAN_DIR"].split(os.pathsep) == [*kept, str(directory)]
    assert again == told
