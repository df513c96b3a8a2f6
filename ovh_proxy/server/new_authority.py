"""Makes a certificate authority that can vouch for a few names and nobody else.

The root's key signs one certificate, the signer's, and is forgotten. Both certificates carry the
same name constraints: whoever steals the signer's key is held to them by every client that
validates as RFC 5280 says. Those of a root alone would not do: section 6.1 leaves a trust anchor's
own constraints to the client, and Java, for one, does not look at them.
"""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ovh_proxy.core.name_constraints import NameConstraints
from ovh_proxy.tls.authority import CertificateAuthority

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
