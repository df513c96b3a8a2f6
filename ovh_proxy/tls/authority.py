"""A certificate authority: what it is made of, and how it is written down."""

import re
from dataclasses import dataclass, field
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
