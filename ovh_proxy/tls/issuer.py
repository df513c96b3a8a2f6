"""Leaf certificates signed on demand, and TLS contexts with them."""

import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ovh_proxy.core.name_constraints import parse_ip
from ovh_proxy.tls.authority import (
    BACKDATED,
    NO_USAGE,
    SERVER_AUTH,
    CertificateAuthority,
    issued_by,
    named,
    new_key,
)
from ovh_proxy.tls.certificates import load_chain, server_context

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


# A client may ask for one name after another below `localhost`.
_MAX_CACHED = 64

_RENEWED_AFTER_S = LIFE.total_seconds() / 2


@dataclass(frozen=True, slots=True)
class _CachedLeaf:
    context: ssl.SSLContext
    made: float


class LeafIssuer:
    """What to serve TLS with, by the names of the server."""

    def __init__(
        self, authority: CertificateAuthority, now: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            now: seconds since the epoch, by the wall clock, as clients judge certificates.
        """
        self._now = now
        # One for all leaves, in memory alone: to make one takes longer than to sign.
        self._key = new_key()
        self._key_pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.sign_with(authority)

    def sign_with(self, authority: CertificateAuthority) -> None:
        """Signs with another authority from now on."""
        self.authority = authority
        self._kept: dict[tuple[str, ...], _CachedLeaf] = {}

    def context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        """A context whose certificate is for these names.

        Raises:
            OSError: the system has no descriptors left.
        """
        now = self._now()
        kept = self._kept.pop(names, None)
        # One from the future is not valid yet: the clock was set back.
        if kept is None or not 0 <= now - kept.made < _RENEWED_AFTER_S:
            kept = _CachedLeaf(self._make(names, now), now)
        self._kept[names] = kept  # the one used last is the last
        if len(self._kept) > _MAX_CACHED:
            del self._kept[next(iter(self._kept))]
        return kept.context

    def _make(self, names: tuple[str, ...], now: float) -> ssl.SSLContext:
        chain = make_leaf(self.authority, names, self._key.public_key(), now)
        context = server_context()
        load_chain(context, chain.encode(), self._key_pem)
        return context
