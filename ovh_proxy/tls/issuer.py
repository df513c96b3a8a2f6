"""TLS contexts with leaves of an authority: made on demand, kept in memory, renewed in time."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ovh_proxy.server.leaf import LIFE, make_leaf
from ovh_proxy.server.new_authority import new_key
from ovh_proxy.server.tls_memory import load_chain
from ovh_proxy.tls.authority import CertificateAuthority
from ovh_proxy.tls.certificates import server_context

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
