"""TLS of listeners with `tls: auto`: a leaf of our own authority for whichever name is asked."""

import ssl
import time
from collections.abc import Callable

from ovh_proxy.core.settings import Address, AutoTls, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.tls.authority import CertificateAuthority
from ovh_proxy.tls.certificates import server_context
from ovh_proxy.tls.stored_authority import StoredLeafIssuer

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AutoCertificates:
    """The TLS context of one listener, which finds a certificate for each handshake.

    Attributes:
        context: one and the same, whatever is renewed.
    """

    def __init__(
        self, tls: AutoTls, address: Address, now: Callable[[], float] = time.time
    ) -> None:
        """Opens the authority, which is made where there is none.

        Raises:
            CommandFailed: it cannot be used, or made.
        """
        self._issuer = StoredLeafIssuer(tls.directory, now)
        self._own = _own_names(address, self._issuer.authority)
        self.context = server_context()
        self.context.sni_callback = self._choose

    def reload_if_changed(self, log: Log) -> bool:
        """Signs with another authority where there is one; the context stays, hence False."""
        self._issuer.reload_if_changed(log)
        return False

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Puts a certificate in the place of none, in the middle of a handshake.

        A name that the authority may not sign meets the listener's own certificate: the client
        says then which name it asked for, and which it met. An alert would say neither, and
        asyncio does not send it.

        Args:
            name: that the client asked for, in ASCII; None where it did not.
        """
        asked = (name or "").lower().removesuffix(".")
        names = (asked,) if self._issuer.authority.constraints.cover(asked) else self._own
        try:
            connection.context = self._issuer.context(names)
        except OSError:  # out of descriptors, as the next accept will tell
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None


def _own_names(address: Address, authority: CertificateAuthority) -> tuple[str, ...]:
    """What a client may have called a listener that says no name."""
    host = address.host if isinstance(address, TcpAddress) else ""
    more = (host,) if host not in _LOOPBACK and authority.constraints.cover(host) else ()
    return _LOOPBACK + more
