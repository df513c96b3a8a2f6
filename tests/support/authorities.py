"""Private authorities as companies have them, with the minimum of RFC 5280."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate.

    Attributes:
        path: the certificate only.
        both: the certificate and its key.
    """

    name: str
    key: Any
    path: Path
    both: Path

    def used_by(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Uses this certificate for new handshakes."""
        context.load_cert_chain(self.both)
        return context


def issue(folder: Path, name: str, by: Issued | None = None, *, is_authority: bool) -> Issued:
    """A certificate without any key identifier, for 127.0.0.1 where it is no authority's.

    Args:
        by: the issuing authority; None for a root.
    """
    x509 = pytest.importorskip("cryptography.x509", reason="makes the certificates")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)

    def named(common_name: str) -> Any:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    extension = (
        x509.BasicConstraints(ca=True, path_length=None)
        if is_authority
        else x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(by.name if by else name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(extension, critical=False)
        .sign(by.key if by else key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = certificate.public_bytes(pem)
    path, both = folder / f"{name}.crt", folder / f"{name}.pem"
    path.write_bytes(text)
    form = serialization.PrivateFormat.PKCS8
    both.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()) + text)
    return Issued(name, key, path, both)


@dataclass(frozen=True, slots=True)
class Firm:
    """A root, an authority beneath it, and whom each of both vouches for."""

    root: Issued
    beneath: Issued
    of_root: Issued
    of_beneath: Issued


def make_firm(folder: Path) -> Firm:
    root = issue(folder, "root", is_authority=True)
    beneath = issue(folder, "beneath", root, is_authority=True)
    return Firm(
        root=root,
        beneath=beneath,
        of_root=issue(folder, "of-root", root, is_authority=False),
        of_beneath=issue(folder, "of-beneath", beneath, is_authority=False),
    )
