"""A short-lived certificate for the names of one server, signed on demand."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ovh_proxy.core.name_constraints import parse_ip
from ovh_proxy.server.new_authority import BACKDATED, NO_USAGE, SERVER_AUTH, issued_by, named
from ovh_proxy.tls.authority import CertificateAuthority

LIFE = timedelta(days=1)
# With its comma no client takes it for a host's name and holds it against the constraints.
_SUBJECT = named("ovh-proxy, on demand")


def make_leaf(
    authority: CertificateAuthority,
    names: Sequence[str],
    key: ec.EllipticCurvePublicKey,
    now: float,
) -> str:
    """A certificate and the signer's, in PEM, as a handshake shows them.

    Args:
        names: host names and IP addresses.
        now: seconds since the epoch.
    """
    made = datetime.fromtimestamp(now, UTC)
    until = min(made + LIFE, authority.signer.not_valid_after_utc)
    usage = x509.KeyUsage(**(NO_USAGE | {"digital_signature": True}))
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(authority.signer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(made, until) - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(SERVER_AUTH, critical=False)
        .add_extension(x509.SubjectAlternativeName([*_general_names(names)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(issued_by(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return leaf.public_bytes(Encoding.PEM).decode() + authority.signer_pem


def _general_names(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in names:
        address = parse_ip(name)
        yield x509.DNSName(name) if address is None else x509.IPAddress(address)
