import re
from pathlib import Path

import pytest
from support.certificates import make_pair

from ovh_proxy.cli.client_trust import ADDING, REPLACING, write_trust
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.tls.authority import MARK

_BLOCK = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def certificate(path: Path) -> str:
    """A new one, as PEM, whose name is the file's."""
    (found,) = _BLOCK.findall(make_pair(path).path.read_text())
    return f"{found}\n"


@pytest.fixture
def ours(tmp_path: Path) -> str:
    return certificate(tmp_path / f"{MARK} 1")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "trust").mkdir()
    return tmp_path / "trust"


def blocks(path: str) -> list[str]:
    return [f"{found}\n" for found in _BLOCK.findall(Path(path).read_text())]


def test_what_replaces_has_the_systems_roots_and_ours(directory: Path, ours: str) -> None:
    told = write_trust(directory, ours, {}, MARK.encode())

    assert {told[name] for name in REPLACING} == {str(directory / "bundle.pem")}
    found = blocks(told["SSL_CERT_FILE"])
    assert len(found) > 1
    assert found[-1] == ours


def test_what_adds_has_ours_alone(directory: Path, ours: str) -> None:
    told = write_trust(directory, ours, {}, MARK.encode())

    assert [blocks(told[name]) for name in ADDING] == [[ours], [ours]]


@pytest.mark.parametrize("name", [*REPLACING, *ADDING])
def test_who_trusts_others_goes_on_to_do_so_and_nobody_else_does(
    tmp_path: Path, directory: Path, ours: str, name: str
) -> None:
    theirs, before = certificate(tmp_path / "theirs"), certificate(tmp_path / f"{MARK} 0")
    (tmp_path / "corporate.pem").write_text(f"# roots\n{theirs}{before}{theirs}")

    told = write_trust(directory, ours, {name: str(tmp_path / "corporate.pem")}, MARK.encode())

    assert blocks(told[name]) == [theirs, ours]
    others = {*REPLACING, *ADDING} - {name}
    assert not any(theirs in blocks(told[other]) for other in others)


def test_a_directory_of_roots_counts_as_a_file_of_them(
    tmp_path: Path, directory: Path, ours: str
) -> None:
    theirs = certificate(tmp_path / "theirs")
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / "a.pem").write_text(theirs)

    told = write_trust(directory, ours, {"REQUESTS_CA_BUNDLE": str(roots)}, MARK.encode())

    assert blocks(told["REQUESTS_CA_BUNDLE"]) == [theirs, ours]


@pytest.mark.parametrize("value", ["", "/nonexistent", "/dev/null"])
def test_a_variable_that_names_no_roots_counts_as_none(
    directory: Path, ours: str, value: str
) -> None:
    told = write_trust(directory, ours, {"CURL_CA_BUNDLE": value}, MARK.encode())

    assert told["CURL_CA_BUNDLE"] == str(directory / "bundle.pem")


def test_no_key_is_in_any_file(tmp_path: Path, directory: Path) -> None:
    pair = make_pair(tmp_path / "theirs")
    write_trust(
        directory, certificate(tmp_path / "a"), {"SSL_CERT_FILE": str(pair.path)}, MARK.encode()
    )

    texts = [path.read_text() for path in directory.iterdir()]

    assert len([text for text in texts if "CERTIFICATE" in text]) == 3
    assert not any("PRIVATE" in text for text in texts)


def test_a_directory_that_cannot_be_written_is_told(directory: Path, ours: str) -> None:
    with pytest.raises(CommandFailed, match="cannot write"):
        write_trust(directory / "missing", ours, {}, MARK.encode())


def test_a_system_without_roots_trusts_ours_alone(directory: Path, ours: str) -> None:
    def none(mark: bytes) -> str:
        raise CommandFailed("there are none")

    told = write_trust(directory, ours, {}, MARK.encode(), none)

    assert blocks(told["SSL_CERT_FILE"]) == [ours]
