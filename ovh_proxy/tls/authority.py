"""A certificate authority with name constraints: made, written as PEM, parsed."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ovh_proxy.core.name_constraints import NameConstraints

_KEY_BLOCK = re.compile(r"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """What clients trust, and what signs.

    Attributes:
        root: what clients trust; its key was thrown away once it had signed `signer`.
        signer: of `key`; the root vouches for it and for nothing else.
        constraints: what the constraints of `signer` permit.
    """

    root: x509.Certificate
    signer: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    constraints: NameConstraints

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root, as `openssl x509 -fingerprint` shows it."""
        return self.root.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def root_pem(self) -> str:
        """What clients are given."""
        return self.root.public_bytes(Encoding.PEM).decode()

    @property
    def signer_pem(self) -> str:
        """What a handshake shows between a leaf and the root."""
        return self.signer.public_bytes(Encoding.PEM).decode()

    def private_pem(self) -> str:
        """All of it, the key first: for a file that nobody else reads."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key.decode() + self.signer_pem + self.root_pem

    def is_current(self, now: float) -> bool:
        """Whether clients would accept it at a time, in seconds since the epoch."""
        starts, ends = self.signer.not_valid_before_utc, self.signer.not_valid_after_utc
        return starts.timestamp() <= now < ends.timestamp()


def parse_authority(pem: str) -> CertificateAuthority:
    """The authority that `private_pem` wrote.

    Raises:
        ValueError: it is none, or one that is bound to no names.
    """
    try:
        # The same text in another order is the same authority.
        key = load_pem_private_key("".join(_KEY_BLOCK.findall(pem)).encode(), None)
        signer, root = x509.load_pem_x509_certificates(pem.encode())
        signer.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as failure:
        raise ValueError("it is no key with its two certificates") from failure
    if not isinstance(key, ec.EllipticCurvePrivateKey) or signer.public_key() != key.public_key():
        raise ValueError("its key is not that of its certificate")
    return CertificateAuthority(root, signer, key, _constraints_of(signer))


def _constraints_of(signer: x509.Certificate) -> NameConstraints:
    try:
        permitted = signer.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError) as failure:
        raise ValueError("its certificate is bound to no names") from failure
    subtrees = permitted.value.permitted_subtrees or []
    names = tuple(one.value for one in subtrees if isinstance(one, x509.DNSName))
    networks = tuple(
        one.value
        for one in subtrees
        if isinstance(one, x509.IPAddress) and isinstance(one.value, IPv4Network | IPv6Network)
    )
    # A kind of name without any permitted is one without constraints.
    if not names or not networks or not permitted.critical:
        raise ValueError("its certificate is not bound to both names and addresses")
    return NameConstraints(names, networks)


# Clients have to be told of another one by hand, so it lasts; what its key can do is little.
LIFE = timedelta(days=5 * 365 + 1)

# A client's clock may be behind.
BACKDATED = timedelta(hours=1)


# In the name of every root of ours.
MARK = "ovh-proxy authority"

SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])

NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def make_authority(
    constraints: NameConstraints, now: float, server_state: timedelta = LIFE
) -> CertificateAuthority:
    """A new authority.

    Args:
        now: seconds since the epoch.
    """
    # In the name, because clients look issuers up by name and may know a former one.
    number = secrets.token_hex(4)
    root_name, signer_name = named(f"{MARK} {number}"), named(f"ovh-proxy {number}")
    root_key, key = new_key(), new_key()
    since = datetime.fromtimestamp(now, UTC) - BACKDATED
    until = datetime.fromtimestamp(now, UTC) + server_state
    root, signer = (
        _authority_certificate(public_key, constraints, below)
        .subject_name(name)
        .issuer_name(root_name)
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(issued_by(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
        for name, public_key, below in (
            (root_name, root_key.public_key(), 1),
            (signer_name, key.public_key(), 0),
        )
    )
    return CertificateAuthority(root, signer, key, constraints)


def _authority_certificate(
    public_key: ec.EllipticCurvePublicKey, constraints: NameConstraints, below: int
) -> x509.CertificateBuilder:
    """What a root and its signer have in common.

    Args:
        below: how many other authorities may follow.
    """
    usage = x509.KeyUsage(**(NO_USAGE | {"key_cert_sign": True, "crl_sign": True}))
    return (
        x509.CertificateBuilder()
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints([*_subtrees(constraints)], None), critical=True)
        # Names of other kinds, such as a mail address, are of no use to a server.
        .add_extension(SERVER_AUTH, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _subtrees(constraints: NameConstraints) -> Iterable[x509.GeneralName]:
    yield from map(x509.DNSName, constraints.names)
    yield from map(x509.IPAddress, constraints.networks)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key that every client of today verifies, in the least time."""
    return ec.generate_private_key(ec.SECP256R1())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issued_by(public_key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    """Which of the issuers of one name it is."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
