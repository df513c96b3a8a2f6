import re
from pathlib import Path

import pytest
from support.certificates import make_pair

from ovh_proxy.cli.client_trust import ADDING, REPLACING, write_trust
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.tls.authority import MARK

_BLOCK = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def certificate(path: Path) -> str:
    """A new certificate as PEM, named like the file."""
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


def test_variables_that_replace_have_the_certificates_of_the_system_and_ours(
    directory: Path, ours: str
) -> None:
    assigned = write_trust(directory, ours, {}, MARK.encode())

    assert {assigned[name] for name in REPLACING} == {str(directory / "bundle.pem")}
    found = blocks(assigned["SSL_CERT_FILE"])
    assert len(found) > 1
    assert found[-1] == ours


def test_variables_that_add_have_only_ours(directory: Path, ours: str) -> None:
    assigned = write_trust(directory, ours, {}, MARK.encode())

    assert [blocks(assigned[name]) for name in ADDING] == [[ours], [ours]]


@pytest.mark.parametrize("name", [*REPLACING, *ADDING])
def test_certificates_of_a_variable_stay_trusted_only_through_it(
    tmp_path: Path, directory: Path, ours: str, name: str
) -> None:
    theirs, before = certificate(tmp_path / "theirs"), certificate(tmp_path / f"{MARK} 0")
    (tmp_path / "corporate.pem").write_text(f"# roots\n{theirs}{before}{theirs}")

    assigned = write_trust(directory, ours, {name: str(tmp_path / "corporate.pem")}, MARK.encode())

    assert blocks(assigned[name]) == [theirs, ours]
    others = {*REPLACING, *ADDING} - {name}
    assert not any(theirs in blocks(assigned[other]) for other in others)


def test_a_variable_may_name_a_directory(tmp_path: Path, directory: Path, ours: str) -> None:
    theirs = certificate(tmp_path / "theirs")
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / "a.pem").write_text(theirs)

    assigned = write_trust(directory, ours, {"REQUESTS_CA_BUNDLE": str(roots)}, MARK.encode())

    assert blocks(assigned["REQUESTS_CA_BUNDLE"]) == [theirs, ours]


@pytest.mark.parametrize("value", ["", "/nonexistent", "/dev/null"])
def test_a_variable_without_certificates_is_ignored(directory: Path, ours: str, value: str) -> None:
    assigned = write_trust(directory, ours, {"CURL_CA_BUNDLE": value}, MARK.encode())

    assert assigned["CURL_CA_BUNDLE"] == str(directory / "bundle.pem")


def test_no_file_contains_a_private_key(tmp_path: Path, directory: Path) -> None:
    pair = make_pair(tmp_path / "theirs")
    write_trust(
        directory, certificate(tmp_path / "a"), {"SSL_CERT_FILE": str(pair.path)}, MARK.encode()
    )

    texts = [path.read_text() for path in directory.iterdir()]

    assert len([text for text in texts if "CERTIFICATE" in text]) == 3
    assert not any("PRIVATE" in text for text in texts)


def test_a_directory_that_cannot_be_written_is_reported(directory: Path, ours: str) -> None:
    with pytest.raises(CommandFailed, match="cannot write"):
        write_trust(directory / "missing", ours, {}, MARK.encode())


def test_without_certificates_of_the_system_the_bundle_has_only_ours(
    directory: Path, ours: str
) -> None:
    def none(mark: bytes) -> str:
        raise CommandFailed("there are none")

    assigned = write_trust(directory, ours, {}, MARK.encode(), none)

    assert blocks(assigned["SSL_CERT_FILE"]) == [ours]
