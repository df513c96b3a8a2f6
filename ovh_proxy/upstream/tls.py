"""TLS towards OVHcloud: trusted authorities, and session resumption."""

import os
import ssl

from ovh_proxy.core.errors import UpstreamTls


class ResumingContext(ssl.SSLContext):
    """Resumes the TLS session of an earlier connection to the same host, if there is one.

    That saves a round trip in TLS 1.2, and OVHcloud a signature. Event loops have no parameter
    for a session, but all of them create TLS connections with `wrap_bio`.
    """

    def __init__(self, protocol: int = ssl.PROTOCOL_TLS_CLIENT) -> None:
        self._connections: dict[str | bytes | None, ssl.SSLObject] = {}

    def remember(self, host: str, connection: ssl.SSLObject) -> None:
        """Stores a connection whose handshake succeeded, for its session."""
        self._connections[host] = connection

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        # Removed, because a session is used once (RFC 8446 appendix C.4), and because after a
        # failed handshake the next one must not use it again.
        earlier = self._connections.pop(server_hostname, None)
        if earlier is not None:
            # Read only now, because TLS 1.3 sends tickets after the handshake.
            session = earlier.session
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class UpstreamTlsContext:
    """The TLS context for new connections, rebuilt when the CA file changes."""

    def __init__(self, ca_file: str | None) -> None:
        """
        Args:
            ca_file: a PEM file of authorities trusted in addition to the system's.
        """
        self._ca_file = ca_file
        self._seen: tuple[int, ...] | None = None
        self._context: ResumingContext | None = None

    def context(self) -> ResumingContext:
        """The current context, or the previous one if the CA file has become unusable.

        Raises:
            UpstreamTls: the CA file is unusable and there is no previous context.
        """
        seen = None if self._ca_file is None else _stamp(self._ca_file)
        if self._context is not None and seen == self._seen:
            return self._context
        self._seen = seen
        try:
            self._context = client_context(self._ca_file)
        except OSError as failure:
            if self._context is None:
                message = (
                    f"upstream.ca_file: {self._ca_file} cannot be read or contains no certificate"
                )
                raise UpstreamTls(message, nothing_arrived=True) from failure
        return self._context


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def client_context(ca_file: str | None) -> ResumingContext:
    """A context that checks certificates the same way on every Python version; TLS 1.2 or newer.

    Args:
        ca_file: a PEM file of authorities trusted in addition to the system's.

    Raises:
        OSError: the file cannot be read or contains no certificate.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    # Python 3.13's `ssl.create_default_context` sets two more flags. PARTIAL_CHAIN trusts an
    # intermediate authority in ca_file without its root. STRICT is not set: it rejects private
    # authorities without key identifiers, as corporate proxies have them.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
