"""Self-signed certificates for test upstreams, each its own authority."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

NAME = "api.localhost"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in one file."""

    path: Path

    def used_by(self, context: ssl.SSLContext) -> None:
        """Uses this certificate for new handshakes."""
        context.load_cert_chain(self.path)

    def trusted_in(self, ca_file: Path) -> None:
        """Replaces a file atomically, as a renewal does."""
        new = ca_file.with_suffix(".new")
        new.write_bytes(self.path.read_bytes())
        new.replace(ca_file)


def make_pair(
    path: Path, days: float = 2.0, age_days: float = 1.0, names: Iterable[str] = (NAME,)
) -> Pair:
    """A new pair for `NAME`, or other names, and 127.0.0.1.

    Args:
        days: days until it expires; negative if expired.
        age_days: days since it became valid.
    """
    x509 = pytest.importorskip("cryptography.x509", reason="makes the certificates")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    others = [*map(x509.DNSName, names), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=age_days))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return Pair(path)


def server_context(pair: Pair) -> ssl.SSLContext:
    """Returns a context for an upstream without session resumption."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    pair.used_by(context)
    return context
