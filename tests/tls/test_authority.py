"""The authority, written as PEM and parsed."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.handshake import write_pem

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, new_key, parse_authority

NOW = time.time()
KEY = new_key()


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return make_authority(DEFAULT_CONSTRAINTS, NOW)


def test_an_authority_is_current_between_its_dates(authority):
    ends = authority.signer.not_valid_after_utc.timestamp()
    starts = authority.signer.not_valid_before_utc.timestamp()

    found = [authority.is_current(now) for now in (starts - 1, starts, ends - 1, ends)]

    assert found == [False, True, True, False]


def test_an_authority_survives_writing_and_parsing(authority):
    read = parse_authority(authority.private_pem())

    assert (read.root, read.signer, read.constraints) == (
        authority.root,
        authority.signer,
        authority.constraints,
    )
    assert read.private_pem() == authority.private_pem()


def test_the_key_is_in_no_repr(authority):
    assert "key" not in repr(authority).lower()


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _unbound(authority: CertificateAuthority) -> str:
    """Returns an authority without constraints, which could sign for any name."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "any")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(KEY, hashes.SHA256())
    )
    certificate = made.public_bytes(Encoding.PEM).decode()
    return pem_of(KEY) + certificate * 2


def _half_bound(_: CertificateAuthority) -> str:
    return make_authority(replace(DEFAULT_CONSTRAINTS, networks=()), NOW).private_pem()


BAD_TEXTS = {
    "empty": (lambda _: "", "expected a private key and its two certificates"),
    "no PEM": (
        lambda _: "-----BEGIN PRIVATE KEY-----\n!",
        "expected a private key and its two certificates",
    ),
    "half": (lambda a: a.private_pem()[:700], "expected a private key and its two certificates"),
    "no key": (
        lambda a: a.signer_pem + a.root_pem,
        "expected a private key and its two certificates",
    ),
    "no root": (
        lambda a: pem_of(a.key) + a.signer_pem,
        "expected a private key and its two certificates",
    ),
    "wrong order": (
        lambda a: pem_of(a.key) + a.root_pem + a.signer_pem,
        "expected a private key and its two certificates",
    ),
    "another key": (lambda a: pem_of(KEY) + a.signer_pem + a.root_pem, "the key does not belong"),
    "another kind": (
        lambda a: pem_of(ed25519.Ed25519PrivateKey.generate()) + a.signer_pem + a.root_pem,
        "the key does not belong",
    ),
    "bound to nothing": (_unbound, "has no name constraints"),
    "bound to names alone": (_half_bound, "does not constrain both names and addresses"),
}


@pytest.mark.parametrize(("write", "expected"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_an_authority_without_constraints_is_rejected(authority, write, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        parse_authority(write(authority))

    assert "-----" not in str(caught.value)


def test_comments_in_the_file_are_ignored(authority, tmp_path):
    path: Path = write_pem(tmp_path / "key.pem", "# ours\n", authority.private_pem())

    assert parse_authority(path.read_text()).fingerprint == authority.fingerprint
