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
    """A root that clients trust, and an intermediate authority that signs.

    Attributes:
        root: its key was deleted after it had signed `signer`, the only certificate it signed.
        signer: the intermediate certificate, of `key`.
        constraints: the names that `signer` permits.
    """

    root: x509.Certificate
    signer: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    constraints: NameConstraints

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root, in the format of `openssl x509 -fingerprint`."""
        return self.root.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def root_pem(self) -> str:
        """The certificate that clients must trust."""
        return self.root.public_bytes(Encoding.PEM).decode()

    @property
    def signer_pem(self) -> str:
        """The intermediate certificate that a handshake sends after the leaf."""
        return self.signer.public_bytes(Encoding.PEM).decode()

    def private_pem(self) -> str:
        """Returns key, signer and root, for a file that only its owner can read."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key.decode() + self.signer_pem + self.root_pem

    def is_current(self, now: float) -> bool:
        """Whether it is valid at a time, in seconds since the epoch."""
        starts, ends = self.signer.not_valid_before_utc, self.signer.not_valid_after_utc
        return starts.timestamp() <= now < ends.timestamp()


def parse_authority(pem: str) -> CertificateAuthority:
    """Parses what `private_pem` wrote.

    Raises:
        ValueError: it is not an authority, or has no name constraints.
    """
    try:
        # The order of the blocks does not matter.
        key = load_pem_private_key("".join(_KEY_BLOCK.findall(pem)).encode(), None)
        signer, root = x509.load_pem_x509_certificates(pem.encode())
        signer.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as failure:
        raise ValueError("expected a private key and its two certificates in PEM") from failure
    if not isinstance(key, ec.EllipticCurvePrivateKey) or signer.public_key() != key.public_key():
        raise ValueError("the key does not belong to the certificate")
    return CertificateAuthority(root, signer, key, _constraints_of(signer))


def _constraints_of(signer: x509.Certificate) -> NameConstraints:
    try:
        permitted = signer.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError) as failure:
        raise ValueError("the certificate has no name constraints") from failure
    subtrees = permitted.value.permitted_subtrees or []
    names = tuple(one.value for one in subtrees if isinstance(one, x509.DNSName))
    networks = tuple(
        one.value
        for one in subtrees
        if isinstance(one, x509.IPAddress) and isinstance(one.value, IPv4Network | IPv6Network)
    )
    # Without a permitted subtree of one type, names of that type are not constrained at all.
    if not names or not networks or not permitted.critical:
        raise ValueError("the certificate does not constrain both names and addresses")
    return NameConstraints(names, networks)


# Long, because users install a new one by hand, and with its constraints a stolen key is of little
# use.
LIFETIME = timedelta(days=5 * 365 + 1)
# A client's clock may be behind.
BACKDATED = timedelta(hours=1)
# Part of the subject of every root that we make.
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
    constraints: NameConstraints, now: float, lifetime: timedelta = LIFETIME
) -> CertificateAuthority:
    """Makes a new authority.

    Args:
        now: seconds since the epoch.
    """
    # Clients look up issuers by name and may still have a previous one, so names must differ.
    number = secrets.token_hex(4)
    root_name, signer_name = common_name(f"{MARK} {number}"), common_name(f"ovh-proxy {number}")
    root_key, key = new_key(), new_key()
    since = datetime.fromtimestamp(now, UTC) - BACKDATED
    until = datetime.fromtimestamp(now, UTC) + lifetime
    root, signer = (
        _authority_certificate(public_key, constraints, path_length)
        .subject_name(name)
        .issuer_name(root_name)
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(authority_key_identifier(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
        for name, public_key, path_length in (
            (root_name, root_key.public_key(), 1),
            (signer_name, key.public_key(), 0),
        )
    )
    return CertificateAuthority(root, signer, key, constraints)


def _authority_certificate(
    public_key: ec.EllipticCurvePublicKey, constraints: NameConstraints, path_length: int
) -> x509.CertificateBuilder:
    """Starts a certificate with what a root and its signer have in common."""
    usage = x509.KeyUsage(**(NO_USAGE | {"key_cert_sign": True, "crl_sign": True}))
    return (
        x509.CertificateBuilder()
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints([*_subtrees(constraints)], None), critical=True)
        # So names of other types, such as mail addresses, are useless: it signs for servers only.
        .add_extension(SERVER_AUTH, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _subtrees(constraints: NameConstraints) -> Iterable[x509.GeneralName]:
    yield from map(x509.DNSName, constraints.names)
    yield from map(x509.IPAddress, constraints.networks)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Returns a new P-256 key: supported by all clients, and the fastest to use."""
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority_key_identifier(public_key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    """Returns the extension that tells issuers of the same name apart."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
