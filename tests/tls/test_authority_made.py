"""What a stolen key of the authority can and cannot do."""

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from support.handshake import write_pem

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, new_key
from ovh_proxy.tls.issuer import make_leaf

NOW = time.time()
KEY = new_key()


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return make_authority(DEFAULT_CONSTRAINTS, NOW)


@pytest.fixture
def openssl(authority, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Verifies a leaf with openssl, given root and signer."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl command to ask")

    def verify(leaf: str, *more: str) -> subprocess.CompletedProcess[str]:
        chain = write_pem(tmp_path / "leaf.pem", leaf)
        root = write_pem(tmp_path / "root.pem", authority.root_pem)
        files = ("-CAfile", root, "-untrusted", chain, chain)
        return subprocess.run(
            [program, "verify", "-x509_strict", "-no-CApath", "-no-CAstore", *more, *files],
            capture_output=True,
            text=True,
            check=False,
        )

    return verify


def stolen(
    authority: CertificateAuthority, extension: x509.ExtensionType | None, name: str = "x y"
) -> str:
    """Returns a certificate made with a stolen key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    keyid = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.signer.subject)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(datetime.now(UTC) - timedelta(1))
        .not_valid_after(datetime.now(UTC) + timedelta(1))
        .add_extension(keyid, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()), critical=False)
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    made = builder.sign(authority.key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode() + authority.signer_pem


def for_names(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def test_openssl_accepts_a_leaf_in_strict_mode(authority, openssl):
    leaf = make_leaf(authority, ["localhost", "127.0.0.1", "::1"], KEY.public_key(), NOW)

    result = openssl(leaf, "-purpose", "sslserver", "-verify_hostname", "localhost")

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("purpose", ["sslclient", "smimesign"])
def test_a_leaf_is_valid_for_servers_only(authority, openssl, purpose):
    result = openssl(stolen(authority, for_names("localhost")), "-purpose", purpose)

    assert "unsuitable certificate purpose" in result.stderr


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        pytest.param(for_names("www.example.com"), "x y", id="another host"),
        pytest.param(for_names("www.ovh.com"), "x y", id="where people log in"),
        pytest.param(for_names("us.ovhcloud.com"), "x y", id="the domain above a host"),
        pytest.param(for_names("localhost", "www.example.com"), "x y", id="beside a good name"),
        pytest.param(for_names("*.com"), "x y", id="a wildcard"),
        pytest.param(None, "www.example.com", id="in the subject alone"),
        pytest.param(
            x509.SubjectAlternativeName(
                [x509.IPAddress(DEFAULT_CONSTRAINTS.networks[0][0] + 2**24)]
            ),
            "x y",
            id="another address",
        ),
    ],
)
def test_a_stolen_key_cannot_impersonate_other_hosts(authority, openssl, extension, name):
    result = openssl(stolen(authority, extension, name))

    assert result.returncode != 0
    assert "permitted subtree violation" in result.stderr


def test_the_signer_has_its_own_constraints_for_clients_that_ignore_those_of_roots(authority):
    permitted = authority.signer.extensions.get_extension_for_class(x509.NameConstraints)
    below = authority.signer.extensions.get_extension_for_class(x509.BasicConstraints)

    assert permitted.critical
    assert (below.critical, below.value.path_length) == (True, 0)
    assert [str(one.value) for one in permitted.value.permitted_subtrees or []] == [
        *DEFAULT_CONSTRAINTS.names,
        *map(str, DEFAULT_CONSTRAINTS.networks),
    ]


def test_a_stolen_key_cannot_make_another_authority(authority, openssl):
    below = stolen(authority, x509.BasicConstraints(ca=True, path_length=None))
    leaf = make_leaf(
        replace(authority, signer=x509.load_pem_x509_certificate(below.encode()), key=KEY),
        ["localhost"],
        KEY.public_key(),
        NOW,
    )

    result = openssl(leaf + authority.signer_pem)

    assert "path length constraint exceeded" in result.stderr


def test_the_key_of_the_root_is_not_stored(authority):
    assert authority.private_pem().count("PRIVATE KEY-----") == 2
    assert authority.root.public_key() != authority.key.public_key()


def test_authorities_have_different_names(authority):
    other = make_authority(DEFAULT_CONSTRAINTS, NOW)

    assert other.root.subject != authority.root.subject
    assert other.signer.subject != authority.signer.subject
