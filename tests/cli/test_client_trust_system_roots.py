"""Finding the certificate authorities that the system trusts."""

import ssl

import pytest

from ovh_proxy.cli.client_trust import system_roots
from ovh_proxy.core.errors import CommandFailed


def pem(body: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(body)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system with a file and a directory of certificates."""
    (tmp_path / "certs").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))
    return tmp_path


def test_file_and_directory_are_joined_without_duplicates(system):
    (system / "bundle.pem").write_text(f"# two\n{pem(b'one')}text between\n{pem(b'two')}")
    (system / "certs" / "a.0").write_text(pem(b"two"))
    (system / "certs" / "b.0").write_text(pem(b"three"))

    assert system_roots(without=b"ours") == pem(b"one") + pem(b"two") + pem(b"three")


def test_unreadable_files_are_skipped(system):
    (system / "bundle.pem").write_text(pem(b"one"))
    (system / "certs" / "gone").symlink_to(system / "nowhere")
    (system / "certs" / "directory").mkdir()
    (system / "certs" / "broken").write_text(
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    )
    (system / "certs" / "binary").write_bytes(b"\xff\x00")

    assert system_roots(without=b"ours") == pem(b"one")


def test_our_own_authority_is_left_out(system):
    (system / "bundle.pem").write_text(pem(b"one") + pem(b"0\x01ovh-proxy authority 00"))

    assert system_roots(without=b"ovh-proxy authority") == pem(b"one")


def test_without_files_of_openssl_the_first_well_known_file_is_used(system):
    (system / "second.pem").write_text(pem(b"one"))
    (system / "third.pem").write_text(pem(b"two"))
    well_known = [str(system / f"{name}.pem") for name in ("first", "second", "third")]

    assert system_roots(b"ours", well_known) == pem(b"one")


def test_without_any_file_the_error_says_what_to_set(system):
    with pytest.raises(CommandFailed, match="set SSL_CERT_FILE"):
        system_roots(b"ours", [str(system / "nowhere.pem")])


def test_without_certificates_the_error_says_what_to_set(system):
    (system / "bundle.pem").write_text(pem(b"ours alone"))

    with pytest.raises(CommandFailed, match="set SSL_CERT_FILE"):
        system_roots(without=b"ours")


def test_the_roots_of_this_machine_can_be_loaded(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    try:
        roots = system_roots(without=b"ours")
    except CommandFailed:
        pytest.skip("no certificate authorities on this machine")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=roots)

    assert context.cert_store_stats()["x509"] == roots.count("BEGIN")
