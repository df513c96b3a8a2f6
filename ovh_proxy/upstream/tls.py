"""TLS towards OVHcloud: trusted authorities, and session resumption."""

import os
import ssl

from ovh_proxy.core.errors import UpstreamTls


class ResumingContext(ssl.SSLContext):
    """Begins a connection with the session of one to the same host, where there is one.

    That spares TLS 1.2 a round trip, and OVHcloud a signature. No event loop has an argument for
    a session; they all make the TLS of a connection by `wrap_bio`.
    """

    def __init__(self, protocol: int = ssl.PROTOCOL_TLS_CLIENT) -> None:
        self._stood: dict[str | bytes | None, ssl.SSLObject] = {}

    def stands(self, host: str, connection: ssl.SSLObject) -> None:
        """Notes a connection whose handshake went well."""
        self._stood[host] = connection

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        # Taken away, because a session is for one use (RFC 8446 appendix C.4), and because the
        # handshake after one that fails with it has to go without.
        earlier = self._stood.pop(server_hostname, None)
        if earlier is not None:
            # Read only now: the tickets of TLS 1.3 come behind the handshake.
            session = earlier.session
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class UpstreamTlsContext:
    """The context for new connections, made again whenever the file of authorities changes."""

    def __init__(self, ca_file: str | None) -> None:
        """
        Args:
            ca_file: a PEM file trusted besides the system's authorities.
        """
        self._ca_file = ca_file
        self._seen: tuple[int, ...] | None = None
        self._context: ResumingContext | None = None

    def context(self) -> ResumingContext:
        """The one to use now; the last good one where the file cannot be used any more.

        Raises:
            UpstreamTls: there never was a good one.
        """
        seen = None if self._ca_file is None else _look(self._ca_file)
        if self._context is not None and seen == self._seen:
            return self._context
        self._seen = seen
        try:
            self._context = client_context(self._ca_file)
        except OSError as failure:
            if self._context is None:
                raise UpstreamTls(
                    "upstream.ca_file cannot be read, or holds no certificate", nothing_arrived=True
                ) from failure
        return self._context


def _look(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def client_context(ca_file: str | None) -> ResumingContext:
    """Certificate and host name are checked alike by every Python; TLS 1.2 or better.

    Args:
        ca_file: a PEM file trusted besides the system's authorities.

    Raises:
        OSError: it cannot be read, or holds no certificate.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    # Of what `ssl.create_default_context` adds from Python 3.13 on: a ca_file may name an authority
    # beneath a root, which is trusted alone. Not VERIFY_X509_STRICT: it turns down private
    # authorities, such as a firm's own proxy has, whose certificates have no key identifier.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
