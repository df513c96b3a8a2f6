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
    authority_key_identifier,
    common_name,
    new_key,
)
from ovh_proxy.tls.certificates import load_chain, server_context

LIFETIME = timedelta(days=1)
# The comma keeps clients from reading it as a host name and checking it against the constraints.
_SUBJECT = common_name("ovh-proxy, on demand")


def make_leaf(
    authority: CertificateAuthority,
    names: Sequence[str],
    key: ec.EllipticCurvePublicKey,
    now: float,
) -> str:
    """Returns a leaf certificate followed by the signer's, in PEM.

    Args:
        names: host names and IP addresses.
        now: seconds since the epoch.
    """
    issued = datetime.fromtimestamp(now, UTC)
    until = min(issued + LIFETIME, authority.signer.not_valid_after_utc)
    usage = x509.KeyUsage(**(NO_USAGE | {"digital_signature": True}))
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(authority.signer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(issued, until) - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(SERVER_AUTH, critical=False)
        .add_extension(x509.SubjectAlternativeName([*_general_names(names)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority_key_identifier(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return leaf.public_bytes(Encoding.PEM).decode() + authority.signer_pem


def _general_names(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in names:
        address = parse_ip(name)
        yield x509.DNSName(name) if address is None else x509.IPAddress(address)


# Bounded because clients may request any number of names below `localhost`.
_MAX_CACHED = 64
_RENEW_AFTER_S = LIFETIME.total_seconds() / 2


@dataclass(frozen=True, slots=True)
class _CachedLeaf:
    context: ssl.SSLContext
    created_at: float


class LeafIssuer:
    """Makes and caches TLS contexts with leaf certificates, by server name."""

    def __init__(
        self, authority: CertificateAuthority, now: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            now: seconds since the epoch by the wall clock, which clients check certificates with.
        """
        self._now = now
        # One key for all leaves, in memory only: generating takes longer than signing.
        self._key = new_key()
        self._key_pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.sign_with(authority)

    def sign_with(self, authority: CertificateAuthority) -> None:
        """Switches to another authority."""
        self.authority = authority
        self._cached: dict[tuple[str, ...], _CachedLeaf] = {}

    def context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        """Returns a context with a certificate for these names.

        Raises:
            OSError: the system has no descriptors left.
        """
        now = self._now()
        leaf = self._cached.pop(names, None)
        # After the clock was set back, a leaf may be from the future and not valid yet.
        if leaf is None or not 0 <= now - leaf.created_at < _RENEW_AFTER_S:
            leaf = _CachedLeaf(self._make(names, now), now)
        self._cached[names] = leaf  # most recently used last
        if len(self._cached) > _MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        return leaf.context

    def _make(self, names: tuple[str, ...], now: float) -> ssl.SSLContext:
        chain = make_leaf(self.authority, names, self._key.public_key(), now)
        context = server_context()
        load_chain(context, chain.encode(), self._key_pem)
        return context
